"""Conversion between rows of the lake and Whisper's results, in both directions.

A *result* is what `whisper.transcribe` returns: a mapping with `text`, `language` and `segments`.
A segment has `id`, `seek`, `start`, `end`, `text`, `tokens`, `temperature`, `avg_logprob`,
`compression_ratio`, `no_speech_prob` and, with word timestamps, `words`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from nightscribe.lake.reading import connect
from nightscribe.lake.tables import Lake

__all__ = ["of_record", "result_of", "segment_rows", "segments_of", "transcripts_of"]

Row = dict[str, Any]

_COLUMN_OF_KEY = {
    "id": "index",
    "seek": "seek",
    "start": "start_s",
    "end": "end_s",
    "text": "text",
    "tokens": "tokens",
    "temperature": "temperature",
    "avg_logprob": "avg_logprob",
    "compression_ratio": "compression_ratio",
    "no_speech_prob": "no_speech_prob",
}
"""Key of a segment → column of `segments`, in the order of Whisper's keys."""


def segment_rows(
    transcript_id: str, recording_id: str, segments: Iterable[Mapping[str, Any]]
) -> list[Row]:
    """Rows of `segments` for the segments of a transcript. `segments_of` is the inverse.

    `index` counts the segments in the given order. `words` is null for segments without words.
    """
    return [
        {
            "transcript_id": transcript_id,
            "recording_id": recording_id,
            **{column: segment[key] for key, column in _COLUMN_OF_KEY.items() if key != "id"},
            "index": index,
            "words": segment.get("words"),
        }
        for index, segment in enumerate(segments)
    ]


def segments_of(rows: Iterable[Mapping[str, Any]]) -> list[Row]:
    """Whisper's segments, with its keys in its order, from rows of `segments` sorted by `index`."""
    return [
        {
            **{key: row[column] for key, column in _COLUMN_OF_KEY.items()},
            **({"words": row["words"]} if row["words"] is not None else {}),
        }
        for row in rows
    ]


def result_of(transcript: Mapping[str, Any], rows: Iterable[Mapping[str, Any]]) -> Row:
    """Whisper's result, from a row of `transcripts` and its rows of `segments`."""
    return {
        "text": transcript["text"],
        "segments": segments_of(rows),
        "language": transcript["language"],
    }


def of_record(rows: Iterable[Mapping[str, Any]]) -> list[Row]:
    """Rows of `segments_of_record` as a file shows them.

    Without segments in which nothing is said. If a text was corrected, no segment has timed words:
    writers of subtitles want the words of all segments or of none.
    """
    kept = [dict(row) for row in rows if row["text"].strip()]
    if any(row["text"] != row["model_text"] for row in kept):
        for row in kept:
            row["words"] = None
    return kept


def transcripts_of(lake: Lake, recording_id: str, model_id: str) -> list[tuple[Row, list[Row]]]:
    """The latest transcript of each task of a recording, by one model, with its segments.

    Returns pairs of a row of `transcripts` and its rows of `segments`, ordered by task.
    """
    with connect(lake, views=["transcripts", "segments"]) as connection:
        transcripts = connection.sql(
            """SELECT * FROM transcripts WHERE recording_id = $id AND model_id = $model_id
               QUALIFY row_number() OVER (
                 PARTITION BY task
                 ORDER BY sequence DESC NULLS LAST, created_at DESC, transcript_id) = 1
               ORDER BY task""",
            params={"id": recording_id, "model_id": model_id},
        ).to_arrow_table()
        segments = connection.sql(
            'SELECT * FROM segments WHERE recording_id = $id ORDER BY "index"',
            params={"id": recording_id},
        ).to_arrow_table()
    rows: Sequence[Row] = segments.to_pylist()
    return [
        (row, [s for s in rows if s["transcript_id"] == row["transcript_id"]])
        for row in transcripts.to_pylist()
    ]
