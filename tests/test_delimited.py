"""Promises of `nightscribe.delimited`."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nightscribe.delimited import (
    Format,
    NotUtf8,
    Problem,
    decode,
    format_of,
    read_records,
    read_rows,
)

LONG = "x" * 200_000  # the csv module's own limit is 131,072 characters


@pytest.fixture(autouse=True)
def unchanged_limit() -> Iterator[None]:
    """No reader changes the limit that other users of `csv` in this process have."""
    limit = csv.field_size_limit()
    yield
    assert csv.field_size_limit() == limit


def test_the_format_follows_from_the_suffix_in_any_case() -> None:
    names = {
        "manifest.csv": Format.CSV,
        "a.b/LIST.TSV": Format.TSV,
        "x.jsonl": Format.JSON_LINES,
        "x.ndjson": Format.JSON_LINES,
        "notes.txt": None,
        "csv": None,
    }
    assert {name: format_of(name) for name in names} == names


def test_a_byte_order_mark_is_no_part_of_the_text() -> None:
    assert decode("päth\n".encode()) == "päth\n"
    assert decode("päth\n".encode("utf-8-sig")) == "päth\n"
    assert decode(b"") == ""


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        ("path\ncaf\u00e9\n".encode("latin-1"), "byte 0xe9 at offset 8 (Latin-1"),
        ("path\na\n".encode("utf-16"), "byte 0xff at offset 0 (UTF-16), line 1: "),
        (b"path\n\n\xff\n", "at offset 6 (Latin-1 or Windows-1252, perhaps), line 3: save"),
    ],
)
def test_another_encoding_is_reported_with_its_place(data: bytes, expected: str) -> None:
    with pytest.raises(NotUtf8) as caught:
        decode(data)
    assert str(caught.value).startswith("is not UTF-8: ")
    assert expected in str(caught.value)


def test_quoted_cells_hold_separators_line_breaks_and_quotes() -> None:
    text = 'a,"b, b"\r\n\r\n"two\r\nlines","say ""yes"""\r\nlast,row'
    assert list(read_rows(text, Format.CSV)) == [
        (1, ["a", "b, b"]),
        (3, ["two\r\nlines", 'say "yes"']),
        (5, ["last", "row"]),
    ]


@pytest.mark.parametrize("row", ['"stray" quote,b', 'a,"b" '])
def test_a_misplaced_quotation_mark_costs_its_own_row_only(row: str) -> None:
    before, problem, after = read_rows(f"a,b\n{row}\nc,d\n", Format.CSV)
    assert (before, after) == ((1, ["a", "b"]), (3, ["c", "d"]))
    assert isinstance(problem[1], Problem)
    assert (problem[0], problem[1].line) == (2, 2)
    assert problem[1].detail.startswith("not a CSV row: ")


def test_a_quotation_mark_that_is_never_closed_is_a_problem_of_the_line_where_it_opens() -> None:
    *rows, (line, problem) = read_rows('a,b\nc,"d\ne,f\n', Format.CSV)
    assert rows == [(1, ["a", "b"])]
    assert (line, isinstance(problem, Problem)) == (2, True)


def test_quotation_marks_and_rare_line_separators_are_text_in_tsv() -> None:
    text = '"a\t"b"\r\n\rc\u2028c\t\x0b\x85\n\t\nd\te\tf'
    assert list(read_rows(text, Format.TSV)) == [
        (1, ['"a', '"b"']),
        (3, ["c\u2028c", "\x0b\x85"]),
        (5, ["d", "e", "f"]),
    ]


def test_json_lines_have_no_rows() -> None:
    with pytest.raises(ValueError, match="JSON Lines has no rows"):
        read_rows("{}", Format.JSON_LINES)


_CELL = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=10)


@given(st.lists(st.lists(_CELL, min_size=1, max_size=4), max_size=5))
def test_any_cells_written_as_csv_are_read_back(rows: list[list[str]]) -> None:
    table = io.StringIO(newline="")
    csv.writer(table).writerows(rows)
    assert [cells for _, cells in read_rows(table.getvalue(), Format.CSV)] == rows


@given(st.lists(st.lists(_CELL, min_size=1, max_size=4), max_size=5), st.sampled_from("\r\n"))
def test_any_cells_without_tabs_and_line_breaks_are_read_back_from_tsv(
    rows: list[list[str]], line_break: str
) -> None:
    rows = [["".join(set(cell) - set("\t\r\n")) or "x" for cell in row] for row in rows]
    text = line_break.join("\t".join(row) for row in rows)
    assert list(read_rows(text, Format.TSV)) == list(enumerate(rows, start=1))


@pytest.mark.parametrize("separator", [",", "\t"])
def test_records_have_the_columns_of_the_header(separator: str) -> None:
    text = "\n Path ,Text\na.wav,Hi\nb.wav,\n".replace(",", separator)
    format = Format.CSV if separator == "," else Format.TSV
    assert list(read_records(text, format, required=[("path",)])) == [
        (3, {"Path": "a.wav", "Text": "Hi"}),
        (4, {"Path": "b.wav", "Text": ""}),
    ]


def test_json_records_keep_the_types_of_their_values() -> None:
    text = '{"path": "a\u2028b", "age": 7}\r\n\n{"tags": ["x"], "text": null}'
    assert list(read_records(text, Format.JSON_LINES, required=[("path",)])) == [
        (1, {"path": "a\u2028b", "age": 7}),
        (3, {"tags": ["x"], "text": None}),
    ]


@pytest.mark.parametrize(
    ("source", "detail"),
    [
        ('{"path": "b.wav"', "not JSON: Expecting ',' delimiter at column 17"),
        ('["b.wav"]', "not a JSON object: write one object on each line"),
        ("[" * 100_000, "not usable JSON: nested too deeply"),
        ('{"path": ' + "1" * 5000 + "}", "not usable JSON: Exceeds the limit"),
    ],
)
def test_bad_json_costs_its_own_line_only(source: str, detail: str) -> None:
    before, (line, problem), after = read_records(f"{{}}\n{source}\n{{}}", Format.JSON_LINES)
    assert (before, after) == ((1, {}), (3, {}))
    assert isinstance(problem, Problem)
    assert (line, problem.line) == (2, 2)
    assert problem.detail.startswith(detail)


@pytest.mark.parametrize(
    ("header", "detail"),
    [
        ("file,text", "no column `id` or `path`; the columns are 'file', 'text'"),
        ("ID,words", "no column `text`; the columns are 'ID', 'words'"),
        ("path,text, TEXT ,text", "columns given twice: text"),
        ('path,"te"xt', "not a CSV row: "),
    ],
)
def test_a_header_that_cannot_be_used_is_one_problem_and_ends_the_table(
    header: str, detail: str
) -> None:
    text = f"\n{header}\na,b\nc,d\n"
    [(line, problem)] = read_records(text, Format.CSV, required=[("id", "path"), ("text",)])
    assert isinstance(problem, Problem)
    assert (line, problem.line) == (2, 2)
    assert problem.detail.startswith(detail)


def test_an_empty_table_has_no_records() -> None:
    for format in Format:
        assert list(read_records("", format)) == []
        assert list(read_records("\n\r\n", format)) == []


@pytest.mark.parametrize("format", [Format.CSV, Format.TSV])
def test_rows_have_as_many_cells_as_the_header(format: Format) -> None:
    text = "path,text\na\nb,c,d\ne,f\n".replace(",", "," if format is Format.CSV else "\t")
    short, long, good = read_records(text, format)
    assert short == (2, Problem(2, "1 cells, but the header has 2 columns"))
    assert long == (3, Problem(3, "3 cells, but the header has 2 columns"))
    assert good == (4, {"path": "e", "text": "f"})
    assert [record for _, record in read_records(text, format, short_rows=True)] == [
        {"path": "a"},
        long[1],
        good[1],
    ]


@pytest.mark.parametrize("format", [Format.CSV, Format.TSV])
def test_long_cells_are_read_and_other_readers_of_the_process_keep_their_limit(
    format: Format,
) -> None:
    text = f"path,text\na.wav,{LONG}\nb.wav,{LONG}\n".replace(
        ",", "," if format is Format.CSV else "\t"
    )
    limit = csv.field_size_limit()
    one, other = read_records(text, format), read_records(text, format)
    for reader in (one, other, one):
        assert next(reader)[1]["text"] == LONG
        assert csv.field_size_limit() == limit
    one.close()
    with pytest.raises(csv.Error):
        next(csv.reader([LONG]))
    assert next(other)[1]["path"] == "b.wav"
