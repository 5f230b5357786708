"""When the words of a transcript were spoken, read from a lake."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pyarrow as pa

if TYPE_CHECKING:
    import duckdb

__all__ = ["Piece", "pieces_of"]

_AT_ONCE = 1000  # transcripts

_SEGMENTS = """
SELECT transcript_id,
    list({'start_s': start_s, 'end_s': end_s, 'text': text, 'words': words} ORDER BY "index")
        AS segments
FROM segments SEMI JOIN wanted_transcripts USING (transcript_id)
GROUP BY transcript_id
"""


@dataclass(frozen=True)
class Piece:
    """A piece of a transcript: a word, or a segment whose words have no times.

    Attributes:
        start_s, end_s: seconds from the start of the recording
    """

    text: str
    start_s: float
    end_s: float


def pieces_of(
    connection: duckdb.DuckDBPyConnection, transcript_ids: Sequence[str]
) -> Iterator[tuple[str, list[Piece]]]:
    """Each of the transcripts with its pieces in order, one after the other, in any order.

    A transcript without segments is left out.

    Args:
        connection: with the lake's view `segments`
    """
    connection.register("wanted_transcripts", pa.table({"transcript_id": list(transcript_ids)}))
    try:
        for batch in connection.sql(_SEGMENTS).to_arrow_reader(_AT_ONCE):
            for row in batch.to_pylist():
                pieces = [piece for segment in row["segments"] for piece in _pieces(segment)]
                yield row["transcript_id"], pieces
    finally:
        connection.unregister("wanted_transcripts")


def _pieces(segment: dict[str, Any]) -> list[Piece]:
    if not segment["words"]:
        return [Piece(segment["text"], segment["start_s"], segment["end_s"])]
    return [Piece(word["word"], word["start"], word["end"]) for word in segment["words"]]
