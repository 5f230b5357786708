"""Export transcripts of a lake to files, in the folder structure of the archives."""

from __future__ import annotations

import errno
import os
import unicodedata
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa

from nightscribe.errors import ConfigurationError, NightscribeError
from nightscribe.export import formats
from nightscribe.export.names import UnusableName, name_of
from nightscribe.faults import is_fault
from nightscribe.lake.reading import connect, query
from nightscribe.lake.tables import Lake
from nightscribe.lake.transcripts import of_record, result_of
from nightscribe.uris import join_uri

__all__ = ["Exported", "NotWritten", "export"]

_CHUNK = 200  # files whose transcripts and segments are in memory at a time


@dataclass(frozen=True)
class Exported:
    """A written file, and its transcript."""

    path: Path
    transcript_id: str


class NotWritten(Exception):
    """The file of a recording that cannot be written.

    Attributes:
        recording: its place, `archive!/member`
        reason: what is wrong, and what to do, in words
    """

    def __init__(self, recording: str, reason: str) -> None:
        super().__init__(f"{recording}: {reason}")
        self.recording = recording
        self.reason = reason


def export(
    lake: Lake,
    fmt: str,
    folder: Path,
    where: str | None = None,
    *,
    corrected: bool = False,
    skip: Callable[[NotWritten], None] | None = None,
) -> Iterator[Exported]:
    """Write the latest transcripts in one format, a file for each place of a recording.

    `nightscribe.export.names` has the names. A file that is there is replaced, unless its name
    is another one that the file system takes for the same. Yields the files while they are written.

    Args:
        fmt: one of `formats.FORMATS`
        where: SQL condition over the columns of `latest_transcripts` and `sources`, such as
            language, task, model, archive, member; None for all transcripts
        corrected: write the text of record: with the corrections of people
        skip: called for each file that cannot be written; the others are written. Without it,
            the first one ends the export.

    Raises:
        ConfigurationError: unknown format, or a folder that cannot be written.
        NightscribeError: `where` is not a condition.
        NotWritten: a file cannot be written, and there is no `skip`.
    """
    if fmt not in formats.FORMATS:
        raise ConfigurationError(f"format {fmt!r}: choose one of {', '.join(formats.FORMATS)}")
    with connect(lake) as connection:
        places = _places(connection, where)
        if places.num_rows:
            _require_folder(folder)
        files = _Files(folder, fmt)
        for start in range(0, places.num_rows, _CHUNK):
            rows = places.slice(start, _CHUNK).to_pylist()
            ids = list({row["transcript_id"] for row in rows})
            results = _results(connection, ids, corrected)
            for row in rows:
                try:
                    path = files.write(row, results[row["transcript_id"]])
                except NotWritten as fault:
                    if skip is None:
                        raise
                    skip(fault)
                else:
                    yield Exported(path, row["transcript_id"])


def _require_folder(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
        if not os.access(folder, os.W_OK | os.X_OK):
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(folder))
    except OSError as error:
        raise ConfigurationError(
            f"--out {folder}: {error.filename} cannot be written: {error.strerror}"
        ) from error


def _places(connection: duckdb.DuckDBPyConnection, where: str | None) -> pa.Table:
    """Rows with transcript, task and place: one for each file to write."""
    try:
        relation = query(
            connection,
            f"""SELECT transcript_id, task, collection, archive, member FROM (
                  SELECT t.*, s.collection, s.archive, s.member, s.language_hint, s.metadata,
                    t.recording_id AS id, s.member AS path
                  FROM latest_transcripts AS t JOIN sources AS s USING (recording_id))
                WHERE {where or "true"}
                ORDER BY archive, member, task""",
        )
        return relation.to_arrow_table()
    except duckdb.Error as error:
        if where is None or is_fault(error):
            raise
        raise NightscribeError(f"--where {where!r} is not a condition: {error}") from error


class _Files:
    """Writes files of one format into a folder."""

    def __init__(self, folder: Path, fmt: str) -> None:
        self._folder, self._format = folder, fmt
        self._names: dict[Path, set[str]] = {}
        """Folder → names of its files, if one of its files was replaced."""

    def write(self, place: dict[str, Any], result: dict[str, Any]) -> Path:
        """Write a transcript for a place; returns the path. Raises `NotWritten`."""
        uri = join_uri(place["archive"], place["member"])
        columns = ("collection", "archive", "member", "task")
        try:
            name = name_of(*(place[column] for column in columns))
            target = self._folder / name.parent
            target.mkdir(parents=True, exist_ok=True)
            if other := self._taken_for(target, f"{name.name}.{self._format}"):
                raise UnusableName(
                    f"{target / other} is there, and this file system takes the names for the "
                    "same: export into a folder on another one, or choose one of the recordings "
                    "with --where"
                )
            return formats.write(result, self._format, name.name, target)
        except UnusableName as error:
            raise NotWritten(uri, str(error)) from error
        except OSError as error:
            raise NotWritten(uri, _explained(error, f"{name.name}.{self._format}")) from error
        except (ValueError, KeyError) as error:  # see `formats`
            detail = f"its transcript is no {self._format} file: {type(error).__name__}: {error}"
            raise NotWritten(uri, detail) from error

    def _taken_for(self, folder: Path, name: str) -> str | None:
        """The file that this one would replace though it has another name.

        Some file systems take upper for lower case, or composed for decomposed letters.
        """
        if not os.path.lexists(folder / name):
            return None
        names = self._names.setdefault(folder, set())
        if name not in names:
            names |= set(os.listdir(folder))
        if name in names:
            return None
        return next((other for other in names if _folded(other) == _folded(name)), None)


def _folded(name: str) -> str:
    return unicodedata.normalize("NFC", unicodedata.normalize("NFD", name).casefold())


def _explained(error: OSError, name: str) -> str:
    if error.errno == errno.ENAMETOOLONG:
        length = len(name.encode(errors="surrogateescape"))
        return (
            f"no file can have its name, {name}, which is {length} bytes long: give the recording "
            "a shorter name"
        )
    cure = {errno.ENOSPC: ": make room", errno.EDQUOT: ": make room"}.get(error.errno or 0, "")
    return f"{error.filename2 or error.filename or name} cannot be written: {error.strerror}{cure}"


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
