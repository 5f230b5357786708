"""What is read from files of references and hypotheses."""

from __future__ import annotations

import csv
from pathlib import Path

import pytest

from evaluation.errors import InputError
from evaluation.pairs.entries import read_entries
from evaluation.pairs.from_files import join
from nightscribe.manifests.manifest import parse_manifest


def test_texts_with_every_line_separator_stay_whole(tmp_path: Path) -> None:
    text = "one\u2028two\x0bthree\nfour"
    path = tmp_path / "refs.csv"
    with path.open("w", encoding="utf-8-sig", newline="") as file:
        csv.writer(file).writerows([["ID", "Language", "Text"], ["a", "en", text], ["b", "en", ""]])
    entries = read_entries(path)
    assert entries["a"].text == text
    assert entries["b"].text == ""
    assert entries["b"].translation is None


def test_quotation_marks_in_a_tsv_are_text(tmp_path: Path) -> None:
    path = tmp_path / "refs.tsv"
    path.write_text('ID\tlanguage\ttext\na\ten\t"Yes," he said.\n', encoding="utf-8")
    assert read_entries(path)["a"].text == '"Yes," he said.'


JSON_LINES = [
    '{"path": "a", "language": "en", "text": "one"}',
    '{"path": "a", "language": "en", "text": 12}',
    '{"path": "a", "language": "en", "text": 1.5}',
    '{"PATH": "a", "Language": "en", "Text": "one"}',
    '{"path": "a", "language": "en", "text": "one", "other": [1, {"b": NaN}]}',
    '{"path": "a", "language": "en", "text": null, "translation": "one"}',
    '{"path": "a", "language": "en", "text": NaN}',
    '{"path": "a", "language": "en", "text": "null"}',
    '{"path": "a", "language": "en", "text": "  "}',
    '{"path": "a", "language": "en", "text": "..."}',
    '{"path": "a", "language": "en", "text": true}',
    '{"path": "a", "language": "en", "text": ["one"]}',
    '{"path": "a", "language": "en", "text": "\\ud800"}',
    '{"path": "a", "language": "en", "text": "one", "text": "two"}',
    '{"path": "a", "language": "en", "text": "one", "TEXT": "two"}',
    '{"language": "en", "text": "one"}',
    '{"path": "a"',
    '["a"]',
    "[" * 100_000,
]
CSV_LINES = ["a,en,one", 'a,en,"one, two"', "a,en,NaN", "a,en,null", "a,en, ", "a,en", "a,en,b,c"]
CSV_LINES += ['a,en,"one', 'a,en,one "two"', ",en,one", '"a",en,"one\ntwo"']


@pytest.mark.parametrize(
    ("name", "head", "line"),
    [("refs.jsonl", "", line) for line in JSON_LINES]
    + [("refs.csv", "path,language,text\n", line) for line in CSV_LINES]
    + [
        ("refs.tsv", "path\tlanguage\ttext\n", line.replace(",", "\t"))
        for line in CSV_LINES
        if "\n" not in line
    ],
)
def test_a_manifest_and_a_file_of_references_are_one_dialect(
    name: str, head: str, line: str, tmp_path: Path
) -> None:
    path = tmp_path / name
    path.write_text(f"{head}{line}\n")
    rows, problems = parse_manifest(f"manifest{path.suffix}", path.read_bytes())
    try:
        [entry] = read_entries(path, are_references=True).values()
    except InputError:
        assert problems
    else:
        assert problems == []
        [row] = rows
        assert (entry.text or None, entry.translation) == (row.text, row.translation)


def test_a_repeated_line_counts_once_and_a_changed_one_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "refs.csv"
    path.write_text("id,language,text\na,en,one\na,en,one\n")
    assert read_entries(path)["a"].text == "one"
    path.write_text("id,language,text\na,en,one\na,en,two\n")
    with pytest.raises(InputError, match="was on line 2 already, with other values"):
        read_entries(path)


@pytest.mark.parametrize(
    ("references", "hypotheses", "expected"),
    [
        ("id,path\n1,a.wav\n2,b.wav", "path\na.wav\nb.wav", ["a.wav", "b.wav"]),
        ("path\na.wav\nb.wav", "id,path\n7,a.wav\n8,b.wav", ["a.wav", "b.wav"]),
        ("id,path\n1,a.wav\n2,b.wav", "id,path\n1,x.wav\n2,y.wav", ["1", "2"]),
        ("path\n1\n2", "id\n1\n2", ["1", "2"]),
        ("recording_id,path\nr,a.wav\ns,b.wav", "id,recording_id\n1,r\n2,s", ["r", "s"]),
    ],
)
def test_a_column_that_both_files_have_names_the_recordings(
    references: str, hypotheses: str, expected: list[str], tmp_path: Path
) -> None:
    files = []
    for name, text in (("refs.csv", references), ("hyps.csv", hypotheses)):
        head, *lines = text.split("\n")
        rows = [f"{head},language,text", *(f"{line},en,yes" for line in lines)]
        (tmp_path / name).write_text("\n".join(rows) + "\n")
        files.append(tmp_path / name)
    joined = join(*files, tasks=("transcribe",), dataset="d", model="m")
    assert joined.pairs["recording_id"].to_pylist() == expected
    assert joined.only_in_references == joined.only_in_hypotheses == []
