"""The examples of the documentation of what Whisper's normalizers do are computed."""

from __future__ import annotations

from pathlib import Path

import pytest

from evaluation.measure.scoring import score
from tests.evaluation.conftest import by_metric, make_pair, table

_DOCUMENT = Path(__file__).parents[3] / "docs" / "evaluation.md"


def examples() -> list[list[str]]:
    """Language, reference, transcript, WER, CER and CER NFC of each row of the table."""
    section = _DOCUMENT.read_text(encoding="utf-8").partition("## What a number cannot say")[2]
    lines = section.partition("\n## ")[0].splitlines()
    rows = [[cell.strip() for cell in line.split("|")[1:-1]] for line in lines if line[:1] == "|"]
    return rows[2:]


def test_there_are_examples_of_every_harm() -> None:
    assert {row[0] for row in examples()} >= {"ar", "en", "he", "hi", "th", "tr"}


@pytest.mark.parametrize("row", examples(), ids=lambda row: f"{row[0]} {row[2]}")
def test_an_example_has_the_figures_that_the_documentation_states(row: list[str]) -> None:
    language, reference, transcript, *stated = row
    pair = make_pair(language=language, reference=reference, hypothesis=transcript)
    rates = by_metric(score(table(pair)))
    found = [f"{rates[metric]['value'] * 100:.1f}" for metric in ("wer", "cer", "cer_nfc")]
    assert found == stated
