"""Reads tables in text files: CSV, TSV and JSON Lines, in UTF-8 with or without a byte order mark.

- CSV follows RFC 4180, and its quotes are strict. A lenient reader would take a misplaced
  quotation mark for the start of a cell, and the rows after it for the cell's text.
- TSV has no quotes: a quotation mark is a character like any other, as in Common Voice's lists.
- JSON Lines has one object on each line.

A line that cannot be read is a `Problem`, and the reader goes on with the next line. Line numbers
count from 1. Lines without any text are skipped.
"""

from __future__ import annotations

import csv
import io
import json
import os
import sys
import threading
from collections.abc import Iterator, Sequence
from enum import StrEnum
from typing import Any, NamedTuple

__all__ = ["Format", "NotUtf8", "Problem", "decode", "format_of", "read_records", "read_rows"]


class Format(StrEnum):
    """How the lines of a file are divided into cells."""

    CSV = "CSV"
    TSV = "TSV"
    JSON_LINES = "JSON Lines"


_FORMAT_OF_SUFFIX = {
    ".csv": Format.CSV,
    ".tsv": Format.TSV,
    ".jsonl": Format.JSON_LINES,
    ".ndjson": Format.JSON_LINES,
}
_BYTE_ORDER_MARKS = {b"\xff\xfe": "UTF-16", b"\xfe\xff": "UTF-16"}

_field_size_limit = threading.Lock()


class Problem(NamedTuple):
    """A line that cannot be used, and why."""

    line: int
    detail: str


class NotUtf8(ValueError):
    """A file in another encoding than UTF-8. The message gives the byte, its place and a guess."""


def format_of(name: str) -> Format | None:
    """The format that a file's name stands for; None for an unknown suffix.

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


def read_records(
    text: str,
    format: Format,
    *,
    required: Sequence[Sequence[str]] = (),
    short_rows: bool = False,
) -> Iterator[tuple[int, dict[str, Any] | Problem]]:
    """Lines of a table as (line number, {column: value}), or what is wrong with the line.

    The first row of CSV and TSV is the header. Names of columns are stripped of spaces, their
    case is kept. Values are text, in JSON Lines any JSON. A header that cannot be used is the last
    thing that is yielded.

    Args:
        required: of each group the header of CSV or TSV must have one, in any case. Objects of
            JSON Lines are not checked: each has its own keys.
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
    """Rows of CSV or TSV without a header as (line number, cells), or what is wrong with the row.

    A CSV row's number is that of its first line: quoted cells may hold line breaks.
    """
    if format is Format.CSV:
        return _read_csv(text)
    if format is Format.TSV:
        return _read_tsv(text)
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
    """The next row, whose cells may be as long as the file: the transcript of a day is one cell.

    The `csv` module has one limit for the whole process. It is raised for this row only.
    """
    with _field_size_limit:
        limit = csv.field_size_limit(sys.maxsize)
        try:
            return next(reader)
        finally:
            csv.field_size_limit(limit)


def _read_tsv(text: str) -> Iterator[tuple[int, list[str] | Problem]]:
    # newline=None ends lines at "\n", "\r\n" and "\r"; splitlines() also would at U+2028.
    for line, row in enumerate(io.StringIO(text, newline=None), start=1):
        cells = row.removesuffix("\n").split("\t")
        if any(cells):
            yield line, cells


def _read_objects(text: str) -> Iterator[tuple[int, dict[str, Any] | Problem]]:
    # newline="\n" ends lines there only: JSON strings may hold U+2028.
    for line, source in enumerate(io.StringIO(text, newline="\n"), start=1):
        if source.strip():
            yield line, _read_object(line, source.removesuffix("\n"))


def _read_object(line: int, source: str) -> dict[str, Any] | Problem:
    try:
        value = json.loads(source)
    except json.JSONDecodeError as error:
        return Problem(line, f"not JSON: {error.msg} at column {error.colno}")
    except ValueError as error:  # such as an integer of more digits than Python reads
        return Problem(line, f"not usable JSON: {error}")
    except RecursionError:
        return Problem(line, "not usable JSON: nested too deeply")
    if not isinstance(value, dict):
        return Problem(line, "not a JSON object: write one object on each line")
    return value
