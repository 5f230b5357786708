"""Read tables from text files: CSV, TSV and JSON Lines, in UTF-8 with or without a byte order mark.

- CSV follows RFC 4180 with strict quotes. To a lenient reader, a misplaced quotation mark starts a
  cell that contains the following rows.
- TSV has no quotes: a quotation mark is an ordinary character, as in FLEURS's lists. Escaped TSV
  is the same with backslashes, see `escaped_tsv`; no suffix says so.
- JSON Lines has one object on each line.

A line that cannot be read becomes a `Problem`, and the reader continues with the next line. Line
numbers start at 1. Empty lines are skipped.
"""

from __future__ import annotations

import csv
import io
import json
import math
import os
import sys
import threading
from collections.abc import Iterator, Sequence
from enum import StrEnum
from typing import Any, NamedTuple

from nightscribe.escaped_tsv import escaped_rows

__all__ = [
    "Format",
    "NotUtf8",
    "Problem",
    "cell_text",
    "check_utf8",
    "decode",
    "format_of",
    "read_records",
    "read_rows",
    "reference_fault",
]


class Format(StrEnum):
    """A file format."""

    CSV = "CSV"
    TSV = "TSV"
    ESCAPED_TSV = "TSV with backslashes"
    JSON_LINES = "JSON Lines"


_FORMAT_OF_SUFFIX = {
    ".csv": Format.CSV,
    ".tsv": Format.TSV,
    ".jsonl": Format.JSON_LINES,
    ".ndjson": Format.JSON_LINES,
}
_BYTE_ORDER_MARKS = {b"\xff\xfe": "UTF-16", b"\xfe\xff": "UTF-16"}

_MISSING = frozenset({"NaN", "nan", "null", "NULL", "None", "<NA>", "#N/A", "N/A"})
"""What programs write for a cell without a value."""

_field_size_limit = threading.Lock()


class Problem(NamedTuple):
    """A line that cannot be used, and why."""

    line: int
    detail: str


class NotUtf8(ValueError):
    """A file is not UTF-8. The message has the first invalid byte, its position and a guess."""


def format_of(name: str) -> Format | None:
    """The format of a file, by the suffix of its name; None if the suffix is unknown.

    >>> format_of("2024/MANIFEST.TSV")
    <Format.TSV: 'TSV'>
    """
    return _FORMAT_OF_SUFFIX.get(os.path.splitext(name.lower())[1])


def decode(data: bytes) -> str:
    """The text of a file, without its byte order mark. Raises `NotUtf8`."""
    try:
        return data.decode("utf-8").removeprefix("\ufeff")
    except UnicodeDecodeError as error:
        guess = _BYTE_ORDER_MARKS.get(data[:2], "Latin-1 or Windows-1252, perhaps")
        line = data.count(b"\n", 0, error.start) + 1
        raise NotUtf8(
            f"is not UTF-8: byte 0x{data[error.start]:02x} at offset {error.start} ({guess}), "
            f"line {line}: save the file as UTF-8"
        ) from None


def cell_text(column: str, value: Any) -> str | None:
    """The text of a cell, without surrounding spaces; None if the cell has no value.

    Raises:
        ValueError: the value is neither text nor a finite number, or is not valid Unicode
    """
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        raise ValueError(f"`{column}` must be text, this is {type(value).__name__}")
    if isinstance(value, float) and not math.isfinite(value):
        raise ValueError(f"`{column}` must be text, this is the number {value}")
    return check_utf8(column, str(value)).strip() or None


def check_utf8(column: str, text: str) -> str:
    """Return the text of a cell. Raises `ValueError` if UTF-8 cannot represent it."""
    # JSON can escape half of a surrogate pair.
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise ValueError(f"`{column}` has half a surrogate pair at {error.start}") from None
    return text


def reference_fault(column: str, value: Any) -> str | None:
    """Why a cell that is not empty cannot be a reference text; None if it can, or is empty.

    >>> reference_fault("text", "null")
    "`text` is 'null', which programs write for a missing value: leave the cell empty"
    """
    if value is None or value == "":
        return None
    if isinstance(value, float) and not math.isfinite(value):
        return f"`{column}` is the number {value}, which is no text: leave the cell empty"
    text = str(value)
    if text.strip() in _MISSING:
        missing = "which programs write for a missing value: leave the cell empty"
        return f"`{column}` is {text.strip()!r}, {missing}"
    if not any(character.isalnum() for character in text):
        return f"`{column}` has no letter and no digit: {text[:40]!a}"
    return None


def read_records(
    text: str,
    format: Format,
    *,
    required: Sequence[Sequence[str]] = (),
    short_rows: bool = False,
) -> Iterator[tuple[int, dict[str, Any] | Problem]]:
    """Yield each line of a table as (line number, {column: value} or `Problem`).

    The first row of CSV and TSV is the header. Column names keep their case and lose surrounding
    spaces. Values are text; in JSON Lines, any JSON. If the header is invalid, its `Problem` is the
    last item.

    Args:
        required: groups of column names. The header of CSV or TSV must have one name of each group,
            in any case. JSON Lines are not checked, since each object has its own keys.
        short_rows: accept rows with fewer cells than the header; the last columns are then absent
    """
    if format is Format.JSON_LINES:
        yield from _read_objects(text)
        return
    header: list[str] = []
    for line, cells in read_rows(text, format):
        if isinstance(cells, Problem):
            yield line, cells
            if not header:
                return
        elif not header:
            header = [cell.strip() for cell in cells]
            if (fault := _header_fault(header, required)) is not None:
                yield line, Problem(line, fault)
                return
        elif len(cells) > len(header) or (len(cells) < len(header) and not short_rows):
            fault = f"{len(cells)} cells, but the header has {len(header)} columns"
            yield line, Problem(line, fault)
        else:
            yield line, dict(zip(header, cells, strict=False))


def read_rows(text: str, format: Format) -> Iterator[tuple[int, list[str] | Problem]]:
    """Yield each row of CSV or TSV as (line number, cells or `Problem`). No row is a header.

    Quoted CSV cells may contain line breaks; the number is that of the row's first line.
    """
    if format is Format.CSV:
        return _read_csv(text)
    if format is Format.TSV:
        return _read_tsv(text)
    if format is Format.ESCAPED_TSV:
        return escaped_rows(text)
    raise ValueError(f"{format} has no rows of cells")


def _header_fault(header: list[str], required: Sequence[Sequence[str]]) -> str | None:
    names = [name.lower() for name in header]
    for group in required:
        if not set(group) & set(names):
            wanted = " or ".join(f"`{name}`" for name in group)
            return f"no column {wanted}; the columns are {', '.join(map(repr, header))}"
    if repeated := {name for name in names if name and names.count(name) > 1}:
        return f"columns given twice: {', '.join(sorted(repeated))}"
    return None


def _read_csv(text: str) -> Iterator[tuple[int, list[str] | Problem]]:
    # newline="" keeps the line breaks inside quoted cells as they are.
    reader = csv.reader(io.StringIO(text, newline=""), strict=True)
    while True:
        line = reader.line_num + 1
        try:
            cells = _next_row(reader)
        except StopIteration:
            return
        except csv.Error as error:
            yield line, Problem(line, f"not a CSV row: {error}")
            continue
        if any(cells):
            yield line, cells


def _next_row(reader: Iterator[list[str]]) -> list[str]:
    """The next row. A cell may be as long as the file, such as the transcript of a whole day.

    The `csv` module has one cell limit per process. It is raised only while this row is read.
    """
    with _field_size_limit:
        limit = csv.field_size_limit(sys.maxsize)
        try:
            return next(reader)
        finally:
            csv.field_size_limit(limit)


def _read_tsv(text: str) -> Iterator[tuple[int, list[str] | Problem]]:
    # newline=None ends lines at "\n", "\r\n" and "\r"; splitlines() also ends them at U+2028.
    for line, row in enumerate(io.StringIO(text, newline=None), start=1):
        cells = row.removesuffix("\n").split("\t")
        if any(cells):
            yield line, cells


def _read_objects(text: str) -> Iterator[tuple[int, dict[str, Any] | Problem]]:
    # newline="\n" ends lines only there: JSON strings may contain U+2028.
    for line, source in enumerate(io.StringIO(text, newline="\n"), start=1):
        if source.strip():
            yield line, _read_object(line, source.removesuffix("\n"))


class _RepeatedKey(ValueError):
    """A JSON object has a key twice with different values."""


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    made: dict[str, Any] = {}
    for key, value in pairs:
        # NaN is not equal to itself.
        if made.setdefault(key, value) != value and made[key] is not value:
            raise _RepeatedKey(f"the key {key!a} is given twice with different values")
    return made


def _read_object(line: int, source: str) -> dict[str, Any] | Problem:
    try:
        value = json.loads(source, object_pairs_hook=_object)
    except _RepeatedKey as error:
        return Problem(line, str(error))
    except json.JSONDecodeError as error:
        return Problem(line, f"not JSON: {error.msg} at column {error.colno}")
    except ValueError as error:  # such as an integer with more digits than Python accepts
        return Problem(line, f"not usable JSON: {error}")
    except RecursionError:
        return Problem(line, "not usable JSON: nested too deeply")
    if not isinstance(value, dict):
        return Problem(line, "not a JSON object: write one object on each line")
    return value
