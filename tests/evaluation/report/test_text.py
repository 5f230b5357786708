"""Tables for a terminal."""

from __future__ import annotations

import re

import pyarrow as pa

from evaluation.measure.changed import most_changed
from evaluation.measure.scoring import score
from evaluation.report.text import changed_text, text_table
from tests.evaluation.conftest import PairMaker, table


def test_text_table_lines_up_and_hides_word_errors_of_unspaced_languages(
    sample_pairs: pa.Table,
) -> None:
    _, heading, rule, *rows = text_table(score(sample_pairs)).splitlines()
    assert len(heading) == len(rule)
    assert all(len(row) == len(rule) for row in rows)
    chinese = next(row for row in rows if row.startswith("Chinese"))
    assert chinese.split()[5] == "–"
    assert re.search(r"\d+\.\d \(\d+\.\d–\d+\.\d\)", chinese)


def test_same_language_under_two_options_is_told_apart(pair: PairMaker) -> None:
    pairs = table(
        *(
            pair(options_key=key, recording_id=f"r{i}", reference="a b", hypothesis="a")
            for key in ("aaaaaaaa11111111", "bbbbbbbb22222222")
            for i in range(2)
        )
    )
    text = text_table(score(pairs))
    assert "English (en), options aaaaaaaa" in text
    assert "English (en), options bbbbbbbb" in text


def test_changed_recordings_are_shown_with_their_texts(pair: PairMaker) -> None:
    def said(hypothesis: str, task: str = "transcribe") -> pa.Table:
        return table(pair(task=task, reference="a b c d", hypothesis=hypothesis))

    assert changed_text(most_changed(said("a b c d"), said("a b"), 1)[0]) == (
        "r0 (en): 2 errors worse\n  reference  a b c d\n  baseline   a b c d\n  candidate  a b\n"
    )
    [better] = most_changed(said("a b c"), said("a b c d"), 1)
    assert changed_text(better).startswith("r0 (en): 1 error better\n")
    [translated] = most_changed(said("a b c d", "translate"), said("", "translate"), 1)
    assert changed_text(translated).startswith("r0 (en): 100.0 chrF++ worse\n")
    assert changed_text([]) == ""
