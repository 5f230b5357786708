"""The manifest of an archive: what is known about its recordings before they are transcribed.

A manifest is `manifest.csv`, `manifest.tsv` or `manifest.jsonl` at any depth of an archive, see
`nightscribe.delimited` for the formats. Its columns (JSON keys) are `path`, relative to
the manifest's own folder, and any of `language`, `text`, `translation`, `dataset` and `split`. All
other columns are kept as metadata; of these, `speaker` and `session` name recordings that are not
independent of each other.
"""

from __future__ import annotations

import json
import math
import re
import unicodedata
from dataclasses import dataclass, field, replace
from typing import Any

from nightscribe.delimited import (
    Format,
    NotUtf8,
    Problem,
    cell_text,
    check_utf8,
    decode,
    format_of,
    read_records,
    reference_fault,
)
from nightscribe.errors import Reason, Rejected
from nightscribe.languages import NO_SPEECH, nearest_language, stated_language
from nightscribe.uris import encode_path

__all__ = ["ManifestRow", "parse_manifest"]

_UNITS = ("speaker", "session")
_COLUMNS = ("path", "language", "text", "translation", "dataset", "split")
_ABSOLUTE = re.compile(r"/|[A-Za-z]:/|[A-Za-z][A-Za-z0-9+.-]+://")


@dataclass(frozen=True, slots=True)
class ManifestRow:
    """What a manifest says about one recording; `path` is the member path inside the archive.

    `language` is one of Whisper's codes, or `zxx` for a recording in which nobody speaks: then
    `text` is empty. `variety` is the language with its region.
    """

    path: str
    line: int
    language: str | None = None
    variety: str | None = None
    text: str | None = None
    translation: str | None = None
    dataset: str | None = None
    split: str | None = None
    speaker: str | None = None
    session: str | None = None
    metadata: dict[str, str] = field(default_factory=dict)


def parse_manifest(name: str, data: bytes) -> tuple[list[ManifestRow], list[Problem]]:
    """Read a manifest; `name` is its member path in the archive, from which the rows' paths start.

    A row with an unknown language, or with a text that cannot be a reference, is kept without it,
    and is a problem too. A row that cannot be read, or whose path leads out of the archive, is only
    a problem. If several rows name one path (in any spelling) and differ, each is a problem, and
    the path has one row without values, so that earlier ones do not stay.

    Raises:
        Rejected: MANIFEST_UNREADABLE, the file is not UTF-8.
    """
    try:
        text = decode(data)
    except NotUtf8 as error:
        raise Rejected(Reason.MANIFEST_UNREADABLE, str(error)) from None
    records = read_records(
        text, format_of(name) or Format.CSV, required=[("path",)], short_rows=True
    )
    folder = name.split("/")[:-1]
    rows: list[ManifestRow] = []
    problems: list[Problem] = []
    for line, record in records:
        if isinstance(record, Problem):
            problems.append(record)
            continue
        faults: list[str] = []
        try:
            row = _row(folder, line, record, faults)
        except ValueError as error:
            problems.append(Problem(line, str(error)))
            continue
        rows.append(row)
        problems.extend(Problem(line, f"{row.path!r}: {fault}") for fault in faults)
    rows, contradictions = _one_row_each(rows)
    return rows, sorted([*problems, *contradictions], key=lambda problem: problem.line)


def _one_row_each(rows: list[ManifestRow]) -> tuple[list[ManifestRow], list[Problem]]:
    """The rows with one for each path, and a problem for each row that another contradicts."""
    by_path: dict[str, list[ManifestRow]] = {}
    for row in rows:
        by_path.setdefault(unicodedata.normalize("NFC", row.path), []).append(row)
    kept: list[ManifestRow] = []
    problems: list[Problem] = []
    for same in by_path.values():
        first = same[0]
        if all(replace(row, path=first.path, line=first.line) == first for row in same):
            # One spelling of a path may be of another file than the other: each is kept.
            kept.extend({row.path: row for row in reversed(same)}.values())
            continue
        lines = [row.line for row in same]
        named = ", ".join(map(str, lines[:10])) + (", ..." if len(lines) > 10 else "")
        detail = (
            f"{first.path!r} is in lines {named} with different values, so that none of them "
            "is used: keep one line"
        )
        problems.extend(Problem(line, detail) for line in lines)
        kept.extend(ManifestRow(path, first.line) for path in {row.path: None for row in same})
    return sorted(kept, key=lambda row: row.line), problems


def _row(folder: list[str], line: int, record: dict[str, Any], faults: list[str]) -> ManifestRow:
    """The row. Values that cannot be used are left out and added to `faults`. Raises ValueError."""
    columns, metadata = _columns_and_metadata(record, faults)
    if "path" not in columns:
        raise ValueError("no `path`")
    path = _member_path(folder, columns.pop("path"))
    given = columns.pop("language", None)
    language = None if given is None else stated_language(given)
    if given is not None and language is None:
        faults.append(
            f"language {given!r} is unknown to Whisper, which will detect it "
            f"({nearest_language(given)})"
        )
    if language is not None and language.code == NO_SPEECH:
        texts = [name for name in ("text", "translation") if name in columns]
        if texts:
            faults.append(
                f"`language` is {NO_SPEECH}, which says that nobody speaks, but `{texts[0]}` is "
                f"{columns[texts[0]][:40]!r}, so that neither is used: empty the text, or state "
                "the language that is spoken"
            )
            columns = {name: value for name, value in columns.items() if name not in texts}
            language = None
        else:
            columns["text"] = ""
    return ManifestRow(
        path=path,
        line=line,
        language=None if language is None else language.code,
        variety=None if language is None else language.variety,
        metadata=metadata,
        **columns,
    )


def _columns_and_metadata(
    record: dict[str, Any], faults: list[str]
) -> tuple[dict[str, str], dict[str, str]]:
    columns: dict[str, str] = {}
    metadata: dict[str, str] = {}
    for key, value in record.items():
        if value is None or value == "":
            continue
        column = check_utf8("a column's name", key).strip().lower()
        if column in _UNITS and isinstance(value, str | int) and str(value).strip():
            columns.setdefault(column, check_utf8(key, str(value)).strip())
        if column not in _COLUMNS:
            if not isinstance(value, str):
                value = json.dumps(value, ensure_ascii=False)
            metadata[key] = check_utf8(key, value)
            continue
        if column in ("text", "translation"):
            fault = reference_fault(column, value)
            if fault is not None:
                faults.append(fault)
                continue
        if isinstance(value, float) and not math.isfinite(value):
            faults.append(f"`{column}` is the number {value}, which is no text: leave it out")
            continue
        if (text := cell_text(column, value)) is None:
            continue
        if columns.setdefault(column, text) != text:
            raise ValueError(f"`{column}` is given twice, as {columns[column]!r} and {text!r}")
    return columns, metadata


def _member_path(folder: list[str], given: str) -> str:
    path = given.replace("\\", "/")
    if _ABSOLUTE.match(path):
        raise ValueError(f"path {given!r} is absolute; paths are relative to the manifest's folder")
    if "\0" in path:
        raise ValueError(f"path {given!r} contains a NUL character")
    parts = list(folder)
    if path.rpartition("/")[2] in ("", ".", ".."):
        raise ValueError(f"path {given!r} names no file")
    for part in encode_path(path).split("/"):
        if part == "..":
            if not parts:
                raise ValueError(f"path {given!r} leads out of the archive")
            parts.pop()
        elif part not in ("", "."):
            parts.append(part)
    return "/".join(parts)
