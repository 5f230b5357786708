"""Reads a file of references or of hypotheses: CSV, TSV or JSON Lines, in UTF-8.

References have the columns `id` (or `path`), `language`, and `text` (the words spoken),
`translation` (into English) or both. Hypotheses have `id` (or `path`), `text`, `translation` or
both, and `language` if the system detected it. Other columns are ignored.

An empty `text` means that nothing was said. An empty `translation` means that there is none, and
so does a `text` that a JSON line leaves out or sets to null.
"""

from __future__ import annotations

import csv
import io
import json
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from evaluation.errors import InputError

_ID_COLUMNS = ("id", "path", "recording_id")
_TEXT_COLUMNS = ("text", "translation")
_DELIMITERS = {".csv": ",", ".tsv": "\t"}
_JSON_LINES = (".jsonl", ".ndjson")


@dataclass(frozen=True)
class Entry:
    """One line of a file; None stands for what the line does not give."""

    language: str | None
    text: str | None
    translation: str | None

    def text_for(self, task: str) -> str | None:
        """The text that a task is scored on."""
        return self.text if task == "transcribe" else self.translation


def read_entries(path: Path) -> dict[str, Entry]:
    """The entries of a file by their ids.

    Raises:
        InputError: the file cannot be read, lacks a column, or has a line that cannot be used
    """
    entries: dict[str, Entry] = {}
    line_of: dict[str, int] = {}
    for line, row in _rows(path):
        identifier = next((row[name] for name in _ID_COLUMNS if row.get(name)), None)
        if identifier is None:
            raise InputError(f"{path}, line {line}: no id: fill the column `id` or `path`")
        if identifier in entries:
            raise InputError(
                f"{path}, line {line}: the id {identifier!r} was on line {line_of[identifier]} "
                "already: keep one line per id"
            )
        entries[identifier] = Entry(
            language=row.get("language") or None,
            text=row.get("text"),
            translation=row.get("translation") or None,
        )
        line_of[identifier] = line
    return entries


def _rows(path: Path) -> Iterator[tuple[int, dict[str, str]]]:
    kind = path.suffix.lower()
    if kind not in _DELIMITERS and kind not in _JSON_LINES:
        raise InputError(
            f"{path}: unknown kind of file {kind!r}: give a "
            f"{', '.join([*_DELIMITERS, *_JSON_LINES])} file"
        )
    try:
        text = path.read_text(encoding="utf-8-sig")
    except OSError as error:
        raise InputError(f"{path}: cannot be read: {error.strerror}: check the path") from error
    except UnicodeDecodeError as error:
        line = error.object[: error.start].count(b"\n") + 1
        raise InputError(f"{path}, line {line}: not UTF-8: save the file as UTF-8") from error
    return _json_rows(path, text) if kind in _JSON_LINES else _csv_rows(path, text)


def _csv_rows(path: Path, text: str) -> Iterator[tuple[int, dict[str, str]]]:
    csv.field_size_limit(sys.maxsize)  # the transcript of a day of audio is one field
    lines = io.StringIO(text, newline="")
    reader = csv.reader(lines, delimiter=_DELIMITERS[path.suffix.lower()], strict=True)
    try:
        header = [name.strip().lower() for name in next(reader, [])]
        _check_columns(path, header)
        start = reader.line_num + 1
        for cells in reader:
            if cells and len(cells) != len(header):
                raise InputError(
                    f"{path}, line {start}: {len(cells)} fields, but the header has "
                    f"{len(header)}: put texts that contain a delimiter between double quotes"
                )
            if cells:
                yield start, dict(zip(header, cells, strict=True))
            start = reader.line_num + 1
    except csv.Error as error:
        raise InputError(f"{path}, line {reader.line_num}: {error}: correct the quotes") from error


def _check_columns(path: Path, header: list[str]) -> None:
    if not header:
        raise InputError(f"{path}: the file is empty: its first line must name the columns")
    found = f"found {', '.join(header)}"
    if not set(_ID_COLUMNS) & set(header):
        raise InputError(f"{path}, line 1: no column `id` or `path` ({found}): add one")
    if not set(_TEXT_COLUMNS) & set(header):
        raise InputError(f"{path}, line 1: no column `text` or `translation` ({found}): add one")
    repeated = next((name for name in header if name and header.count(name) > 1), None)
    if repeated:
        raise InputError(f"{path}, line 1: two columns are named {repeated!r}: rename one")


def _json_rows(path: Path, text: str) -> Iterator[tuple[int, dict[str, str]]]:
    for line, content in enumerate(text.split("\n"), start=1):
        if not content.strip():
            continue
        try:
            row = json.loads(content)
        except json.JSONDecodeError as error:
            raise InputError(
                f"{path}, line {line}, column {error.colno}: not JSON: {error.msg}: write one "
                "object per line"
            ) from error
        if not isinstance(row, dict):
            raise InputError(f"{path}, line {line}: not a JSON object: write one per line")
        known = (*_ID_COLUMNS, "language", *_TEXT_COLUMNS)
        wrong = next((n for n in known if not isinstance(row.get(n), str | int | None)), None)
        if wrong:
            raise InputError(f"{path}, line {line}: `{wrong}` is not a string: make it one")
        yield line, {name: str(row[name]) for name in known if row.get(name) is not None}
