"""The sidecar manifest of an archive: what a person already knows about its recordings.

`manifest.csv`, `manifest.tsv` or `manifest.jsonl`, in UTF-8 with or without a byte order
mark, at any depth of an archive. Columns (JSON keys): `path`, relative to the manifest's
own folder, and any of `language`, `text`, `translation`, `dataset`, `split`; all others
are kept as metadata. CSV follows RFC 4180; in TSV a quotation mark is a character like any
other, as in Common Voice's files.
"""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from nightscribe.errors import Reason, Rejected
from nightscribe.languages import language_code
from nightscribe.uris import encode_path

NAMES = frozenset({"manifest.csv", "manifest.tsv", "manifest.jsonl"})

_COLUMNS = ("path", "language", "text", "translation", "dataset", "split")
_CELL_LIMIT = 16 * 1024 * 1024  # characters in one CSV cell; the text of a very long recording
_ROOTED = re.compile(r"/|[A-Za-z]:/|[A-Za-z][A-Za-z0-9+.-]+://")
_BOMS = {b"\xff\xfe": "UTF-16", b"\xfe\xff": "UTF-16"}


@dataclass(frozen=True, slots=True)
class ManifestRow:
    """What a manifest says of one recording; `path` is the member path inside the archive."""

    path: str
    line: int
    language: str | None = None
    text: str | None = None
    translation: str | None = None
    dataset: str | None = None
    split: str | None = None
    metadata: dict[str, str] = field(default_factory=dict)


class Problem(NamedTuple):
    """Something in a manifest that cannot be used; `line` counts from 1."""

    line: int
    detail: str


def parse_manifest(name: str, data: bytes) -> tuple[list[ManifestRow], list[Problem]]:
    """Read a manifest; `name` is its member path in the archive, which the rows' paths follow.

    A row with an unknown language is kept without a language, and is a problem too. A row
    that cannot be read, or that points outside the archive, is only a problem.

    Raises:
        Rejected: MANIFEST_UNREADABLE, the file is not UTF-8.
    """
    text = _decode(data)
    suffix = name.lower().rpartition(".")[2]
    records = _json_lines(text) if suffix == "jsonl" else _table(text, tab=suffix == "tsv")
    folder = name.rpartition("/")[0].split("/") if "/" in name else []
    rows: list[ManifestRow] = []
    problems: list[Problem] = []
    for line, record in records:
        if isinstance(record, str):
            problems.append(Problem(line, record))
            continue
        try:
            rows.append(_row(folder, line, record, problems))
        except ValueError as error:
            problems.append(Problem(line, str(error)))
    return rows, problems


def _decode(data: bytes) -> str:
    try:
        return data.decode("utf-8").removeprefix("\ufeff")
    except UnicodeDecodeError as error:
        guess = _BOMS.get(data[:2], "Latin-1 or Windows-1252, perhaps")
        raise Rejected(
            Reason.MANIFEST_UNREADABLE,
            f"not UTF-8: byte 0x{data[error.start]:02x} at offset {error.start} "
            f"({guess}); save the file as UTF-8",
        ) from None


# Both readers give (line, columns) or (line, what is wrong with that line).
_Records = Iterator[tuple[int, "dict[str, Any] | str"]]


def _table(text: str, *, tab: bool) -> _Records:
    previous_limit = csv.field_size_limit(_CELL_LIMIT)
    try:
        # newline="" leaves line breaks inside quoted cells as they are.
        lines = io.StringIO(text, newline="")
        # strict: a stray quotation mark is told, instead of swallowing the rows that follow.
        reader = (
            csv.reader(lines, delimiter="\t", quoting=csv.QUOTE_NONE)
            if tab
            else csv.reader(lines, strict=True)
        )
        header: list[str] = []
        while True:
            line = reader.line_num + 1
            try:
                cells = next(reader)
            except StopIteration:
                return
            except csv.Error as error:
                yield line, f"not a {'TSV' if tab else 'CSV'} row: {error}"
                continue
            if not any(cells):
                continue
            if header:
                if len(cells) > len(header):
                    yield line, f"{len(cells)} cells, but the header has {len(header)} columns"
                else:
                    yield line, dict(zip(header, cells, strict=False))
                continue
            header = [cell.strip() for cell in cells]
            if fault := _header_fault(header):
                yield line, fault
                return
    finally:
        csv.field_size_limit(previous_limit)


def _header_fault(header: list[str]) -> str | None:
    names = [name.lower() for name in header]
    if "path" not in names:
        return f"no column `path`; the columns are {', '.join(map(repr, header))}"
    if twice := {name for name in names if name and names.count(name) > 1}:
        return f"columns given twice: {', '.join(sorted(twice))}"
    return None


def _json_lines(text: str) -> _Records:
    # Not splitlines(): JSON strings may hold U+2028 and its like as they are.
    for line, source in enumerate(text.split("\n"), start=1):
        if not source.strip():
            continue
        try:
            record = json.loads(source)
        except ValueError as error:
            yield line, f"not JSON: {error}"
        except RecursionError:
            yield line, "not usable JSON: nested too deeply"
        else:
            if isinstance(record, dict):
                yield line, record
            else:
                yield line, f"a JSON object is needed, this is {type(record).__name__}"


def _row(
    folder: list[str], line: int, record: dict[str, Any], problems: list[Problem]
) -> ManifestRow:
    known: dict[str, str] = {}
    metadata: dict[str, str] = {}
    for key, value in record.items():
        if value is None or value == "":
            continue
        column = key.strip().lower()
        if column not in _COLUMNS:
            if not isinstance(value, str):
                value = json.dumps(value, ensure_ascii=False)
            metadata[_utf8("a column's name", key)] = _utf8(key, value)
            continue
        if isinstance(value, bool) or not isinstance(value, str | int | float):
            raise ValueError(f"`{column}` must be text, this is {type(value).__name__}")
        if cleaned := _utf8(column, str(value)).strip():
            known[column] = cleaned
    if "path" not in known:
        raise ValueError("no `path`")
    path = _member_path(folder, known.pop("path"))
    if (named := known.pop("language", None)) is not None:
        if (code := language_code(named)) is None:
            problems.append(
                Problem(line, f"{path!r}: language {named!r} is none of Whisper's; left to detect")
            )
        else:
            known["language"] = code
    return ManifestRow(path=path, line=line, metadata=metadata, **known)


def _utf8(column: str, value: str) -> str:
    # JSON can escape half of a surrogate pair, which no UTF-8 column can hold.
    try:
        value.encode()
    except UnicodeEncodeError as error:
        raise ValueError(f"`{column}` has half a surrogate pair at {error.start}") from None
    return value


def _member_path(folder: list[str], given: str) -> str:
    path = given.replace("\\", "/")
    if _ROOTED.match(path):
        raise ValueError(f"path {given!r} is absolute; paths are relative to the manifest's folder")
    if "\0" in path:
        raise ValueError(f"path {given!r} holds a NUL character")
    parts = list(folder)
    if path.rpartition("/")[2] in ("", ".", ".."):
        raise ValueError(f"path {given!r} names no file")
    for part in encode_path(path).split("/"):
        if part == "..":
            if not parts:
                raise ValueError(f"path {given!r} leaves the archive")
            parts.pop()
        elif part not in ("", "."):
            parts.append(part)
    return "/".join(parts)
