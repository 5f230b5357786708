"""Reads a file of references or of hypotheses: CSV, TSV or JSON Lines, in UTF-8.

References have the columns `id` (or `path`), `language`, and `text` (the words spoken),
`translation` (into English) or both. They may name a `split`, a `speaker` and a `session`.
Hypotheses have `id` (or `path`), `text`, `translation` or both, and `language` if the system
detected it. Other columns are ignored.

A reference whose `language` is `zxx` says that nobody speaks in the recording: it has no text. Its
`duration_s`, the length in seconds, and its `kind` (music, hum …) are used if they are there.

An empty `text` means that nothing was said, and an empty hypothesis that the system wrote nothing.
An empty `translation` of a reference means that there is none. A text is missing if a line is too
short for it, or if a JSON line leaves it out or sets it to null. What a manifest does not accept as
a text (`NaN`, `null`, a text without letters and digits), a reference cannot be here either.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from evaluation.errors import InputError
from evaluation.languages import spoken_language
from nightscribe.delimited import (
    Format,
    NotUtf8,
    Problem,
    cell_text,
    decode,
    format_of,
    read_records,
    reference_fault,
)
from nightscribe.languages import NO_SPEECH, Language, nearest_language

_ID_COLUMNS = ("id", "path", "recording_id")
_TEXT_COLUMNS = ("text", "translation")
_LENGTH = "duration_s"
_OF_REFERENCES = ("split", "speaker", "session", "kind", _LENGTH)
_COLUMNS = (*_ID_COLUMNS, "language", *_TEXT_COLUMNS)


@dataclass(frozen=True)
class Entry:
    """One line of a file; None stands for what the line does not give.

    Only references have a split, speaker, session, kind and length.
    """

    language: Language | None
    text: str | None
    translation: str | None
    split: str | None = None
    speaker: str | None = None
    session: str | None = None
    kind: str | None = None
    duration_s: float | None = None

    def text_for(self, task: str) -> str | None:
        """The text that a task is scored on."""
        return self.text if task == "transcribe" else self.translation


def id_columns_of(*paths: Path) -> tuple[str, ...]:
    """The columns that may name a recording, those that all of these files fill first.

    A file may have both `id` and `path`, and the other only one of them.
    """
    filled = [
        {name for _, row in _rows(path) for name in _ID_COLUMNS if row.get(name)} for path in paths
    ]
    return tuple(
        sorted(_ID_COLUMNS, key=lambda name: not all(name in columns for columns in filled))
    )


def read_entries(
    path: Path,
    *,
    are_references: bool = False,
    id_columns: Sequence[str] = _ID_COLUMNS,
) -> dict[str, Entry]:
    """The entries of a file by their ids. A repeated line counts once.

    Args:
        are_references: refuse what cannot be a reference text
        id_columns: the first of these that a line fills names its recording

    Raises:
        InputError: the file cannot be read, lacks a column, or has a line that cannot be used
    """
    entries: dict[str, Entry] = {}
    line_of: dict[str, int] = {}
    columns = (*_COLUMNS, *_OF_REFERENCES) if are_references else _COLUMNS
    for line, row in _rows(path, columns):
        identifier = next((row[name] for name in id_columns if row.get(name)), None)
        if identifier is None:
            raise InputError(f"{path}, line {line}: no id: fill the column `id` or `path`")
        entry = Entry(
            language=_language(row.get("language"), f"{path}, line {line}"),
            text=row.get("text"),
            translation=(row.get("translation") or None)
            if are_references
            else row.get("translation"),
            split=row.get("split") or None,
            speaker=row.get("speaker") or None,
            session=row.get("session") or None,
            kind=row.get("kind") or None,
        )
        if are_references:
            place = f"{path}, line {line}"
            _check_texts(entry, place)
            if row.get(_LENGTH):
                entry = replace(entry, duration_s=_length(row[_LENGTH], place))
            if entry.language is not None and entry.language.code == NO_SPEECH:
                entry = _without_speech(entry, place)
        if entries.setdefault(identifier, entry) != entry:
            raise InputError(
                f"{path}, line {line}: the id {identifier!r} was on line {line_of[identifier]} "
                "already, with other values: keep one line per id"
            )
        line_of.setdefault(identifier, line)
    return entries


def _language(text: str | None, place: str) -> Language | None:
    if not text or not text.strip():
        return None
    language = spoken_language(text)
    if language is None:
        raise InputError(f"{place}: unknown language {text!r}: {nearest_language(text)}")
    return language


def _without_speech(entry: Entry, place: str) -> Entry:
    """The entry with an empty text. Raises `InputError` if it has one."""
    if text := entry.text or entry.translation:
        raise InputError(
            f"{place}: the language is {NO_SPEECH}, which says that nobody speaks, but the text is "
            f"{text[:40]!r}: empty it, or give the language that is spoken"
        )
    return replace(entry, text="")


def _length(text: str, place: str) -> float:
    try:
        length = float(text)
    except ValueError:
        length = math.nan
    if not 0 < length < math.inf:
        raise InputError(f"{place}: `{_LENGTH}` is {text!r}: give the seconds, or leave it empty")
    return length


def _check_texts(entry: Entry, place: str) -> None:
    for column in _TEXT_COLUMNS:
        fault = reference_fault(column, getattr(entry, column))
        if fault is not None:
            raise InputError(f"{place}: {fault}")


def _rows(path: Path, columns: Sequence[str] = _COLUMNS) -> Iterator[tuple[int, dict[str, str]]]:
    """Each line's number and texts, by the names of the columns."""
    format = format_of(path.name)
    if format is None:
        raise InputError(
            f"{path}: unknown kind of file {path.suffix!r}: give a .csv, .tsv, .jsonl or .ndjson "
            "file"
        )
    text = _text(path)
    if format is not Format.JSON_LINES and not text.strip():
        raise InputError(f"{path}: the file is empty: its first line must name the columns")
    records = read_records(text, format, required=(_ID_COLUMNS, _TEXT_COLUMNS), short_rows=True)
    for line, row in records:
        if isinstance(row, Problem):
            is_csv_row = format is Format.CSV and line > 1
            cure = ": put texts that contain a comma between double quotes" if is_csv_row else ""
            raise InputError(f"{path}, line {line}: {row.detail}{cure}")
        place = f"{path}, line {line}"
        yield line, _texts(_lower_case(row, columns, place), columns, place)


def _lower_case(row: Mapping[str, Any], columns: Sequence[str], place: str) -> dict[str, Any]:
    """The row with the names of columns in lower case."""
    lower: dict[str, Any] = {}
    for name, value in row.items():
        column = name.strip().lower()
        if column in columns and lower.get(column, value) != value:
            raise InputError(f"{place}: `{column}` is given twice with different values")
        lower[column] = value
    return lower


def _texts(row: Mapping[str, Any], columns: Sequence[str], place: str) -> dict[str, str]:
    """What a line gives for the columns that count, as the cells of a manifest are read."""
    texts: dict[str, str] = {}
    for name in columns:
        if row.get(name) is None:
            continue
        try:
            # An empty text means that nothing was said, so it is no missing value here.
            texts[name] = cell_text(name, row[name]) or ("" if row[name] == "" else str(row[name]))
        except ValueError as error:
            raise InputError(f"{place}: {error}") from None
    return texts


def _text(path: Path) -> str:
    try:
        return decode(path.read_bytes())
    except OSError as error:
        raise InputError(f"{path}: cannot be read: {error.strerror}: check the path") from error
    except NotUtf8 as error:
        raise InputError(f"{path}: {error}") from error
