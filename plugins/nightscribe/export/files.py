"""Export transcripts of a lake to files, in the folder structure of the archives."""

from __future__ import annotations

import functools
import hashlib
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

import duckdb

from nightscribe.errors import ConfigurationError, NightscribeError
from nightscribe.export import formats
from nightscribe.lake.reading import connect, query
from nightscribe.lake.tables import Lake
from nightscribe.lake.transcripts import of_record, result_of

__all__ = ["Exported", "export"]

_CHUNK = 200  # transcripts whose segments are in memory at a time


@dataclass(frozen=True)
class Exported:
    """A written file, and its transcript."""

    path: Path
    transcript_id: str


def export(
    lake: Lake, fmt: str, folder: Path, where: str | None = None, *, corrected: bool = False
) -> Iterator[Exported]:
    """Write the latest transcripts in one format, a file for each place of a recording.

    A file has the name of its recording and the suffix of the format: `talk.wav` gives `talk.srt`,
    or `talk.translate.srt` for a translation. If two recordings of a folder differ only in their
    suffix, it is kept: `talk.wav.srt`. If two collections have files of the same name, each of them
    gets a folder. Yields the files while they are written.

    Args:
        fmt: one of `formats.FORMATS`
        where: SQL condition over the columns of `latest_transcripts` and `sources`, such as
            language, task, model, archive, member; None for all transcripts
        corrected: write the text of record: with the corrections of people

    Raises:
        ConfigurationError: unknown format.
        NightscribeError: `where` is not a condition.
        OSError: a file cannot be written.
    """
    if fmt not in formats.FORMATS:
        raise ConfigurationError(f"format {fmt!r}: choose one of {', '.join(formats.FORMATS)}")
    with connect(lake) as connection:
        places = _places(connection, where)
        names = _names(places)
        ids = list(dict.fromkeys(place["transcript_id"] for place in places))
        for start in range(0, len(ids), _CHUNK):
            results = _results(connection, ids[start : start + _CHUNK], corrected)
            for place, name in zip(places, names, strict=True):
                if (result := results.get(place["transcript_id"])) is None:
                    continue
                target = folder / name.parent
                target.mkdir(parents=True, exist_ok=True)
                path = formats.write(result, fmt, name.name, target)
                yield Exported(path, place["transcript_id"])


def _places(connection: duckdb.DuckDBPyConnection, where: str | None) -> list[dict[str, Any]]:
    """Rows with transcript, task and place: one for each file to write."""
    try:
        relation = query(
            connection,
            f"""SELECT transcript_id, task, collection, archive, member FROM (
                  SELECT t.*, s.collection, s.archive, s.member, s.language_hint, s.metadata
                  FROM latest_transcripts AS t JOIN sources AS s USING (recording_id))
                WHERE {where or "true"}
                ORDER BY archive, member, task""",
        )
        rows = relation.to_arrow_table()
    except duckdb.Error as error:
        raise NightscribeError(f"--where {where!r} is not a condition: {error}") from error
    places: list[dict[str, Any]] = rows.to_pylist()
    return places


def _names(places: list[dict[str, Any]]) -> list[PurePosixPath]:
    """Paths of the files below the export folder, without the suffix of the format."""
    names = [_path(place, keep_suffix=False) for place in places]
    for longer_path in (functools.partial(_path, keep_suffix=True), _path_in_collection):
        uses = Counter(names)
        names = [
            name if uses[name] == 1 else longer_path(place)
            for name, place in zip(names, places, strict=True)
        ]
    return names


def _path(place: dict[str, Any], *, keep_suffix: bool) -> PurePosixPath:
    # A zip or tar in a collection becomes a folder with its name.
    prefix = place["collection"] + "/"
    container = place["archive"].removeprefix(prefix) if place["archive"].startswith(prefix) else ""
    member = PurePosixPath(container, place["member"])
    stem = member.name if keep_suffix else member.stem
    return member.with_name(stem + (".translate" if place["task"] == "translate" else ""))


def _path_in_collection(place: dict[str, Any]) -> PurePosixPath:
    # The digest distinguishes collections with the same name.
    uri: str = place["collection"].rstrip("/")
    folder = f"{uri.rpartition('/')[2]}-{hashlib.sha256(uri.encode()).hexdigest()[:8]}"
    return folder / _path(place, keep_suffix=True)


def _results(
    connection: duckdb.DuckDBPyConnection, ids: list[str], corrected: bool
) -> dict[str, dict[str, Any]]:
    """Transcript id → Whisper's result. Ids that no longer exist are missing."""
    suffix = "_of_record" if corrected else ""
    transcripts = connection.sql(
        f"SELECT transcript_id, text, language FROM transcripts{suffix} "
        "WHERE transcript_id IN (SELECT unnest($ids))",
        params={"ids": ids},
    ).to_arrow_table()
    segments = connection.sql(
        f"SELECT * FROM segments{suffix} WHERE transcript_id IN (SELECT unnest($ids)) "
        'ORDER BY transcript_id, "index"',
        params={"ids": ids},
    ).to_arrow_table()
    by_transcript: dict[str, list[dict[str, Any]]] = {}
    for segment in segments.to_pylist():
        by_transcript.setdefault(segment["transcript_id"], []).append(segment)
    if corrected:
        by_transcript = {name: of_record(rows) for name, rows in by_transcript.items()}
    return {
        row["transcript_id"]: result_of(row, by_transcript.get(row["transcript_id"], []))
        for row in transcripts.to_pylist()
    }
