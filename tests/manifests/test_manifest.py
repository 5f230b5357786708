"""Promises of `nightscribe.manifests.manifest` and `nightscribe.languages`."""

from __future__ import annotations

import csv
import io
import json
import os
import subprocess
import sys
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nightscribe.delimited import Problem
from nightscribe.errors import Reason, Rejected
from nightscribe.languages import LANGUAGES, OTHER_CODES, OTHER_NAMES, language_code
from nightscribe.manifests.manifest import ManifestRow, parse_manifest
from nightscribe.uris import decode_path

CSV = """path,language,text,translation,dataset,split,speaker
clips/a.wav,es,"Hola, mundo",Hello world,greetings,test,Ana
b.wav,English,,,,,
"""
ROWS = [
    ManifestRow(
        path="clips/a.wav",
        line=2,
        language="es",
        text="Hola, mundo",
        translation="Hello world",
        dataset="greetings",
        split="test",
        speaker="Ana",
        metadata={"speaker": "Ana"},
    ),
    ManifestRow(path="b.wav", line=3, language="en"),
]


def test_csv_tsv_and_jsonl_say_the_same() -> None:
    tsv = CSV.replace('"Hola, mundo"', "Hola; mundo").replace(",", "\t").replace(";", ",")
    records = list(csv.DictReader(io.StringIO(CSV)))
    # A line ahead, so that the line numbers agree with the tables' after their header.
    jsonl = "\n" + "\n".join(json.dumps(record) for record in records)
    for name, text in (("manifest.csv", CSV), ("MANIFEST.TSV", tsv), ("manifest.jsonl", jsonl)):
        assert parse_manifest(name, text.encode()) == (ROWS, [])
        assert parse_manifest(name, b"\xef\xbb\xbf" + text.encode()) == (ROWS, [])
        assert parse_manifest(name, text.replace("\n", "\r\n").encode()) == (ROWS, [])


def test_column_names_are_read_in_any_case() -> None:
    rows, problems = parse_manifest("manifest.csv", b" Path ,LANGUAGE\na.wav,de\n")
    assert (rows, problems) == ([ManifestRow("a.wav", 2, language="de")], [])


def test_paths_follow_the_manifests_own_folder_and_stay_inside_the_archive() -> None:
    given_paths = {
        "a.wav": "sub/a.wav",
        "./x/./a.wav": "sub/x/a.wav",
        "y\\a.wav": "sub/y/a.wav",
        "../a.wav": "a.wav",
        "../other/a.wav": "other/a.wav",
        "caf\u00e9 1.wav": "sub/caf\u00e9 1.wav",
        "caf%E9.wav": "sub/caf%25E9.wav",  # as archive members are written
    }
    lines = [json.dumps({"path": path}) for path in given_paths]
    rows, problems = parse_manifest("sub/manifest.jsonl", "\n".join(lines).encode())
    assert [row.path for row in rows] == list(given_paths.values())
    assert problems == []


@pytest.mark.parametrize(
    "path",
    [
        *("../../a.wav", "..", "/abs.wav", "C:\\a.wav", "\\\\host\\a.wav", "s3://bucket/a.wav"),
        *("nul\0.wav", "", "  ", ".", "folder/", None, 7.5, True, ["a.wav"], "\ud83d.wav"),
    ],
)
def test_a_path_that_leads_out_of_the_archive_or_is_no_path_is_a_problem(path: object) -> None:
    good = json.dumps({"path": "b.wav"})
    data = "\n".join([json.dumps({"path": path}), good]).encode()
    rows, problems = parse_manifest("sub/manifest.jsonl", data)
    if path == 7.5:
        assert [row.path for row in rows] == ["sub/7.5", "sub/b.wav"]
        return
    assert [row.path for row in rows] == ["sub/b.wav"]
    assert [problem.line for problem in problems] == [1]


def test_unknown_language_is_a_problem_and_the_row_is_kept_without_it() -> None:
    data = b"path,language,text\na.wav,klingon,Qapla\nb.wav,fr,Oui\n"
    rows, problems = parse_manifest("manifest.csv", data)
    assert rows == [
        ManifestRow("a.wav", 2, language=None, text="Qapla"),
        ManifestRow("b.wav", 3, language="fr", text="Oui"),
    ]
    assert [problem.line for problem in problems] == [2]
    assert "'klingon'" in problems[0].detail
    assert "a.wav" in problems[0].detail


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        ("path,text\na.wav,caf\u00e9\n".encode("latin-1"), "byte 0xe9 at offset 19 (Latin-1"),
        ("path\na.wav\n".encode("utf-16"), "byte 0xff at offset 0 (UTF-16)"),
        (b"\xef\xbb\xbfpath\n\xff.wav\n", "byte 0xff at offset 8"),
    ],
)
def test_wrong_encoding_is_reported_with_its_place(data: bytes, expected: str) -> None:
    with pytest.raises(Rejected) as caught:
        parse_manifest("manifest.csv", data)
    assert caught.value.reason is Reason.MANIFEST_UNREADABLE
    assert expected in caught.value.detail


def test_missing_or_doubled_columns_are_one_problem() -> None:
    rows, problems = parse_manifest("manifest.csv", b"\nfile;language\na.wav;en\n")
    assert rows == []
    assert problems == [Problem(2, "no column `path`; the columns are 'file;language'")]
    rows, problems = parse_manifest("manifest.csv", b"path,text,Text\na.wav,1,2\n")
    assert rows == []
    assert problems == [Problem(1, "columns given twice: text")]
    assert parse_manifest("manifest.csv", b"") == ([], [])


def test_bad_rows_are_reported_by_line_and_the_others_are_read() -> None:
    table = (
        "path,text\n"
        'a.wav,"two\nlines"\n'
        "b.wav,too, many\n"
        "\n"
        'c.wav,"stray" quote\n'
        "d.wav\n"
        ",no path\n"
        "e.wav,fine\n"
    )
    rows, problems = parse_manifest("manifest.csv", table.encode())
    assert [(row.path, row.line, row.text) for row in rows] == [
        ("a.wav", 2, "two\nlines"),
        ("d.wav", 7, None),
        ("e.wav", 9, "fine"),
    ]
    assert [problem.line for problem in problems] == [4, 6, 8]
    assert problems[0].detail == "3 cells, but the header has 2 columns"

    lines = [
        '{"path": "a.wav", "text": "line\u2028separator"}',
        '{"path": "b.wav"',
        '["c.wav"]',
        "[" * 100_000,
        '{"path": "d.wav", "text": ["not", "text"]}',
        '{"path": "e.wav", "text": "half \\ud83d"}',
        '{"path": "f.wav", "half \\ud83d": "half \\ud83d"}',
        '{"path": "g.wav", "text": null, "age": 7, "tags": ["x", "\u00fc"]}',
    ]
    rows, problems = parse_manifest("manifest.jsonl", "\n".join(lines).encode())
    assert [(row.path, row.line) for row in rows] == [("a.wav", 1), ("g.wav", 8)]
    assert rows[0].text == "line\u2028separator"
    assert rows[1].text is None
    assert rows[1].metadata == {"age": "7", "tags": '["x", "\u00fc"]'}
    assert [problem.line for problem in problems] == [2, 3, 4, 5, 6, 7]
    assert all(problem.detail.encode() for problem in problems)


def test_quotation_marks_in_tsv_are_text() -> None:
    data = b'path\ttext\na.wav\t"Yes", she said\nb.wav\tHe said "no\n'
    rows, problems = parse_manifest("manifest.tsv", data)
    assert [row.text for row in rows] == ['"Yes", she said', 'He said "no']
    assert problems == []


_TEXT = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=20)


@given(st.lists(st.tuples(_TEXT, _TEXT), max_size=5))
def test_any_text_written_as_csv_or_jsonl_is_read_back(cells: list[tuple[str, str]]) -> None:
    records = [
        # Each text has a letter: one without is no reference.
        {"path": f"{i}.wav", "text": f"{text}a", "note": note}
        for i, (text, note) in enumerate(cells)
    ]
    table = io.StringIO(newline="")
    writer = csv.DictWriter(table, ["path", "text", "note"])
    writer.writeheader()
    writer.writerows(records)
    jsonl = "\n".join(json.dumps(record, ensure_ascii=False) for record in records)
    for name, data in (("manifest.csv", table.getvalue()), ("manifest.jsonl", jsonl)):
        rows, problems = parse_manifest(name, data.encode())
        assert problems == []
        assert [(row.path, row.text or "", row.metadata.get("note", "")) for row in rows] == [
            (record["path"], record["text"].strip(), record["note"]) for record in records
        ]


@given(st.binary(max_size=200), st.sampled_from(["csv", "tsv", "jsonl"]))
def test_noise_is_read_or_rejected_and_raises_nothing_else(data: bytes, suffix: str) -> None:
    try:
        data.decode()
    except UnicodeDecodeError:
        with pytest.raises(Rejected):
            parse_manifest(f"manifest.{suffix}", b"path,text\n" + data)
    else:
        rows, _ = parse_manifest(f"manifest.{suffix}", b"path,text\n" + data)
        assert all(decode_path(row.path) for row in rows)


def test_a_hundred_thousand_rows_are_read_in_about_a_second() -> None:
    row = "clips/{i}.wav,de,Ein Satz mit ein paar Wörtern,A sentence,data,test,Ana\n"
    header = "path,language,text,translation,dataset,split,speaker\n"
    data = (header + "".join(row.format(i=i) for i in range(100_000))).encode()
    started = time.process_time()
    rows, problems = parse_manifest("manifest.csv", data)
    # About half a second here; the margin is for busy machines.
    assert time.process_time() - started < 4
    assert (len(rows), problems) == (100_000, [])


# ----------------------------------------------------------------------------- languages


def test_language_tables_are_whispers_own() -> None:
    tokenizer = pytest.importorskip("whisper.tokenizer")
    assert tokenizer.LANGUAGES == LANGUAGES
    names = {name: code for code, name in LANGUAGES.items()} | OTHER_NAMES
    assert names == tokenizer.TO_LANGUAGE_CODE
    assert all(language_code(name) == code for name, code in names.items())
    assert set(OTHER_CODES.values()) <= set(LANGUAGES)
    assert not set(OTHER_CODES) & set(LANGUAGES)


@pytest.mark.parametrize(
    ("text", "code"),
    [
        *(("en", "en"), ("EN", "en"), ("English", "en"), (" spanish ", "es"), ("Castilian", "es")),
        *(("en-US", "en"), ("pt_BR", "pt"), ("zh-Hans-CN", "zh"), ("cmn_hans_cn", "zh")),
        *(("nb-NO", "no"), ("haw", "haw"), ("jv", "jw"), ("Haitian Creole", "ht"), ("yue", "yue")),
        *(("klingon", None), ("xx", None), ("", None), ("english-ish", None), ("e", None)),
    ],
)
def test_languages_are_known_by_code_name_and_tag(text: str, code: str | None) -> None:
    assert language_code(text) == code


def test_reading_manifests_imports_neither_torch_nor_whisper() -> None:
    check = (
        "import sys, nightscribe.archives.listing, nightscribe.manifests.manifest;"
        "print(sorted({'torch', 'whisper', 'airflow', 'fsspec', 'pyarrow'} & set(sys.modules)))"
    )
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    command = [sys.executable, "-c", check]
    done = subprocess.run(command, check=True, capture_output=True, text=True, env=environment)
    assert done.stdout.strip() == "[]"


# --------------------------------------------------------- contradictions and texts that are none


@pytest.mark.parametrize("again", ["a.wav", "./a.wav", "x/../a.wav"])
def test_a_path_with_two_texts_has_none_and_each_line_is_told(again: str) -> None:
    rows, problems = parse_manifest(
        "manifest.csv", f"path,text\na.wav,one\nb.wav,two\n{again},three\n".encode()
    )
    assert rows == [ManifestRow("a.wav", 2), ManifestRow("b.wav", 3, text="two")]
    assert [problem.line for problem in problems] == [2, 4]
    assert all("lines 2, 4" in problem.detail for problem in problems)


def test_canonically_equal_paths_with_two_texts_have_none() -> None:
    data = "path,text\ncaf\u00e9.wav,one\ncafe\u0301.wav,two\n".encode()
    rows, problems = parse_manifest("manifest.csv", data)
    assert rows == [ManifestRow(name, 2) for name in ("caf\u00e9.wav", "cafe\u0301.wav")]
    assert [problem.line for problem in problems] == [2, 3]


def test_the_same_line_twice_counts_once() -> None:
    data = b"path,text\na.wav,one\n./a.wav,one\n"
    assert parse_manifest("manifest.csv", data) == ([ManifestRow("a.wav", 2, text="one")], [])


@pytest.mark.parametrize(
    "text",
    [
        *("NaN", "Infinity", "-Infinity", '"NaN"', '"null"', '"None"', '"#N/A"', '"<NA>"'),
        *('"  "', '"\\u00a0"', '"\\u200b"', '"\\u3000"', '"..."'),
    ],
)
def test_what_is_no_text_is_told_and_is_no_reference(text: str) -> None:
    data = f'{{"path": "a.wav", "language": "de", "text": {text}}}'.encode()
    rows, problems = parse_manifest("manifest.jsonl", data)
    assert rows == [ManifestRow("a.wav", 1, language="de")]
    assert [problem.line for problem in problems] == [1]


@given(st.lists(st.tuples(st.sampled_from("ab"), st.sampled_from(["x", "y", ""])), max_size=6))
def test_each_line_is_used_or_told_or_repeats_another(lines: list[tuple[str, str]]) -> None:
    data = "path,text\n" + "".join(f"{path},{text}\n" for path, text in lines)
    rows, problems = parse_manifest("manifest.csv", data.encode())
    assert len({row.path for row in rows}) == len(rows)
    told = {problem.line for problem in problems}
    used = {(row.path, row.text or "") for row in rows}
    without_values = {row.path for row in rows if row.text is None}
    for line, given_line in enumerate(lines, start=2):
        if line in told:
            assert given_line[0] in without_values
        else:
            assert given_line in used


@pytest.mark.parametrize(
    ("line", "fault"),
    [
        ('{"path": "a.wav", "text": "one", "text": "two"}', "the key 'text' is given twice"),
        ('{"path": "a.wav", "text": "one", "Text": "two"}', "`text` is given twice"),
        ('{"path": "a.wav", "path": "b.wav"}', "the key 'path' is given twice"),
    ],
)
def test_a_key_with_two_values_is_told(line: str, fault: str) -> None:
    rows, [problem] = parse_manifest("manifest.jsonl", line.encode())
    assert rows == []
    assert fault in problem.detail


@pytest.mark.parametrize("column", ["language", "dataset", "split"])
def test_a_number_that_is_none_costs_its_own_column_alone(column: str) -> None:
    data = f'{{"path": "a.wav", "text": "one", "{column}": NaN}}'.encode()
    rows, [problem] = parse_manifest("manifest.jsonl", data)
    assert rows == [ManifestRow("a.wav", 1, text="one")]
    assert f"`{column}` is the number nan" in problem.detail


@pytest.mark.parametrize("language", ["zxx", "ZXX", " zxx\u00a0"])
@pytest.mark.parametrize("text", ["", None, "absent"])
def test_nobody_speaks_is_an_empty_text(language: str, text: str | None) -> None:
    record = {"path": "a.wav", "language": language, "kind": "hum", "text": text}
    if text == "absent":
        del record["text"]
    rows, problems = parse_manifest("manifest.jsonl", json.dumps(record).encode())
    assert problems == []
    assert rows == [ManifestRow("a.wav", 1, language="zxx", text="", metadata={"kind": "hum"})]


@pytest.mark.parametrize(
    "texts", [{"text": "Hola"}, {"translation": "Hello"}, {"text": "Hola", "translation": "Hello"}]
)
def test_a_text_of_a_recording_in_which_nobody_speaks_is_told(texts: dict[str, str]) -> None:
    record = {"path": "a.wav", "language": "zxx", "dataset": "d", **texts}
    rows, [problem] = parse_manifest("manifest.jsonl", json.dumps(record).encode())
    assert rows == [ManifestRow("a.wav", 1, dataset="d")], "neither is used"
    assert problem.detail.startswith("'a.wav': `language` is zxx, which says that nobody speaks")
    assert repr(next(iter(texts.values()))) in problem.detail
