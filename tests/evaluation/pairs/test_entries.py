"""What is read from files of references and hypotheses."""

from __future__ import annotations

import csv
from pathlib import Path

from evaluation.pairs.entries import read_entries


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
