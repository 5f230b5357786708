"""Transcripts → files beside each other as the recordings were in their archives."""

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
from nightscribe.lake.transcripts import result_of

_CHUNK = 200  # transcripts whose segments are held in memory at a time


@dataclass(frozen=True)
class Exported:
    """One file that was written."""

    path: Path
    transcript_id: str


def export(lake: Lake, fmt: str, folder: Path, where: str | None = None) -> Iterator[Exported]:
    """Write the latest transcripts in a format, one file for every place a recording was seen at.

    A file is named as its recording, with the format's extension; `.translate` comes before
    it for translations. Where two recordings of a folder differ in the extension only, theirs
    is kept; where two archives have the same names, each gets a folder. `where` is an SQL
    condition over `latest_transcripts` and `sources` (language, task, model, archive, member,
    collection …). Yields the files as they are written.

    Raises `ConfigurationError` for an unknown format, `NightscribeError` for bad SQL.
    """
    if fmt not in formats.FORMATS:
        raise ConfigurationError(f"format {fmt!r}: choose one of {', '.join(formats.FORMATS)}")
    with connect(lake) as connection:
        places = _places(connection, where)
        names = _names(places)
        ids = list(dict.fromkeys(place["transcript_id"] for place in places))
        for start in range(0, len(ids), _CHUNK):
            results = _results(connection, ids[start : start + _CHUNK])
            for place, name in zip(places, names, strict=True):
                if (result := results.get(place["transcript_id"])) is None:
                    continue
                target = folder / name.parent
                target.mkdir(parents=True, exist_ok=True)
                path = formats.write(result, fmt, name.name, target)
                yield Exported(path, place["transcript_id"])


def _places(connection: duckdb.DuckDBPyConnection, where: str | None) -> list[dict[str, Any]]:
    try:
        relation = query(
            connection,
            f"""SELECT transcript_id, task, collection, archive, member FROM (
                  SELECT t.*, s.collection, s.archive, s.member, s.language_hint, s.metadata
                  FROM latest_transcripts AS t JOIN sources AS s USING (recording_id))
                WHERE {where or "true"}
                ORDER BY archive, member, task""",
        )
        assert relation is not None
        rows = relation.to_arrow_table()
    except duckdb.Error as error:
        raise NightscribeError(f"--where {where!r} is not a condition: {error}") from error
    found: list[dict[str, Any]] = rows.to_pylist()
    return found


def _names(places: list[dict[str, Any]]) -> list[PurePosixPath]:
    """Path of each place's file below the export folder, without the format's extension."""
    names = [_path(place, keep_suffix=False) for place in places]
    for longer in (functools.partial(_path, keep_suffix=True), _path_in_collection):
        taken = Counter(names)
        names = [
            name if taken[name] == 1 else longer(place)
            for name, place in zip(names, places, strict=True)
        ]
    return names


def _path(place: dict[str, Any], *, keep_suffix: bool) -> PurePosixPath:
    # A container inside a collection becomes a folder of its own name.
    folder = place["collection"] + "/"
    inside = place["archive"].removeprefix(folder) if place["archive"].startswith(folder) else ""
    member = PurePosixPath(inside, place["member"])
    stem = member.name if keep_suffix else member.stem
    return member.with_name(stem + (".translate" if place["task"] == "translate" else ""))


def _path_in_collection(place: dict[str, Any]) -> PurePosixPath:
    # Collections of one name differ in their digest.
    uri: str = place["collection"].rstrip("/")
    folder = f"{uri.rpartition('/')[2]}-{hashlib.sha256(uri.encode()).hexdigest()[:8]}"
    return folder / _path(place, keep_suffix=True)


def _results(connection: duckdb.DuckDBPyConnection, ids: list[str]) -> dict[str, dict[str, Any]]:
    transcripts = connection.sql(
        "SELECT transcript_id, text, language FROM transcripts "
        "WHERE transcript_id IN (SELECT unnest($ids))",
        params={"ids": ids},
    ).to_arrow_table()
    segments = connection.sql(
        "SELECT * FROM segments WHERE transcript_id IN (SELECT unnest($ids)) "
        'ORDER BY transcript_id, "index"',
        params={"ids": ids},
    ).to_arrow_table()
    by_transcript: dict[str, list[dict[str, Any]]] = {}
    for segment in segments.to_pylist():
        by_transcript.setdefault(segment["transcript_id"], []).append(segment)
    return {
        row["transcript_id"]: result_of(row, by_transcript.get(row["transcript_id"], []))
        for row in transcripts.to_pylist()
    }
