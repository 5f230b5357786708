"""Averages over languages are those of their figures, and their intervals keep their promise."""

from __future__ import annotations

from typing import Any

import jiwer
import numpy as np
import pyarrow as pa
import pytest
from sacrebleu.metrics import BLEU

from evaluation.measure.averages import Counted, averages
from evaluation.measure.counts import Counts
from evaluation.measure.scoring import evaluate
from evaluation.report.text import text_table
from tests.evaluation.conftest import PairMaker, table
from tests.evaluation.simulated import substitutions


def by_name(found: pa.Table) -> dict[tuple[str, str], dict[str, Any]]:
    return {(row["metric"], row["average"]): row for row in found.to_pylist()}


def counted(language: str, counts: Counts, speakers: list[str] | None = None) -> Counted:
    pairs = [
        {
            "dataset": "d",
            "language": language,
            "task": "transcribe",
            "model_id": "m",
            "model": "m",
            "options_key": language,
            "recording_id": f"{language}{row}",
            "speaker": speakers[row] if speakers else None,
        }
        for row in range(len(counts))
    ]
    return Counted("wer", pairs, counts, len(counts) + 1)


def language(random: np.random.Generator, number: int, rate: float) -> Counts:
    words = random.integers(5, 25, size=number)
    return substitutions(words, random.binomial(words, rate))


def test_both_averages_are_jiwers_and_sacrebleus(pair: PairMaker) -> None:
    texts = {
        "de": [("eins zwei drei", "eins zwei"), ("vier", "vier")],
        "fr": [("un deux trois quatre cinq", "un"), ("six sept", "")],
    }
    english = "it rains tonight in the old town"
    rows = [
        pair(language=code, task=task, recording_id=f"{code}{n}", **said)
        for code, both in texts.items()
        for n, (reference, hypothesis) in enumerate(both)
        for task, said in {
            "transcribe": {"reference": reference, "hypothesis": hypothesis},
            "translate": {"reference": english, "hypothesis": english[: 20 + 4 * n]},
        }.items()
    ]
    found = by_name(evaluate(table(*rows)).averages)
    each = [jiwer.wer(*map(list, zip(*both, strict=True))) for both in texts.values()]
    assert found["wer", "macro"]["value"] == pytest.approx(np.mean(each))
    every = [one for both in texts.values() for one in both]
    assert found["wer", "micro"]["value"] == pytest.approx(
        jiwer.wer(*map(list, zip(*every, strict=True)))
    )
    expected = BLEU().corpus_score([english[:20], english[:24]] * 2, [[english] * 4]).score
    assert found["bleu", "micro"]["value"] == pytest.approx(expected)
    assert found["bleu", "macro"]["value"] == pytest.approx(expected)
    assert (found["wer", "macro"]["languages"], found["wer", "macro"]["utterances"]) == (2, 4)


def test_words_are_not_averaged_with_letters(sample_pairs: pa.Table) -> None:
    found = by_name(evaluate(sample_pairs).averages)
    assert found["wer", "macro"]["languages"] == 10
    assert found["cer", "macro"]["languages"] == 4
    assert found["bleu", "macro"]["languages"] == 14


def test_one_language_has_no_average(pair: PairMaker) -> None:
    assert evaluate(table(pair(reference="a", hypothesis="a"))).averages.num_rows == 0


def test_intervals_of_averages_cover_the_true_rate() -> None:
    random = np.random.default_rng(8)
    covered = {"macro": 0, "micro": 0}
    for _ in range(60):
        languages = [
            counted("de", language(random, 40, 0.1)),
            counted("fr", language(random, 40, 0.3)),
            counted("it", language(random, 160, 0.2)),
        ]
        for row in averages(languages).to_pylist():
            truth = 0.2 if row["average"] == "macro" else (40 * 0.1 + 40 * 0.3 + 160 * 0.2) / 240
            covered[row["average"]] += row["ci_low"] <= truth <= row["ci_high"]
    # The lengths of the texts are drawn too, so the micro-average's truth moves a little.
    assert 51 <= covered["macro"] <= 60
    assert 51 <= covered["micro"] <= 60


def test_languages_of_equal_size_are_drawn_independently() -> None:
    """Drawn alike, two languages with the same errors would vary as one of them does."""
    random = np.random.default_rng(9)
    same = language(random, 60, 0.2)
    [one, *_] = averages([counted("de", same), counted("fr", same)]).to_pylist()
    width = one["ci_high"] - one["ci_low"]
    shared = [f"s{row}" for row in range(60)]
    both = averages([counted("de", same, shared), counted("fr", same, shared)]).to_pylist()[0]
    assert (both["sampling_unit"], both["sampling_units"]) == ("speaker", 60)
    # The same sixty speakers in both languages: each is drawn in both at once.
    assert (both["ci_high"] - both["ci_low"]) / width == pytest.approx(np.sqrt(2), rel=0.15)


def test_speakers_of_each_language_are_drawn_within_it() -> None:
    random = np.random.default_rng(10)
    languages = [
        counted(code, language(random, 60, 0.2), [f"{code}{row % 6}" for row in range(60)])
        for code in ("de", "fr")
    ]
    row = averages(languages).to_pylist()[0]
    assert (row["sampling_unit"], row["sampling_units"]) == ("speaker", 12)
    assert row["ci_low"] < row["value"] < row["ci_high"]
    assert (row["utterances"], row["of_references"], row["options_key"]) == (120, 122, None)


def test_units_without_another_to_be_exchanged_with_give_no_interval() -> None:
    counts = substitutions(np.array([10, 10]), np.array([1, 2]))
    row = averages([counted("de", counts, ["a", "a"]), counted("fr", counts, ["b", "b"])])
    assert row["ci_low"].to_pylist() == [None, None]


def test_the_table_shows_both_averages_and_how_many_references_they_have(pair: PairMaker) -> None:
    rows = [
        pair(language=code, recording_id=f"{code}{n}", reference="eins zwei", hypothesis="eins")
        for code in ("de", "fr")
        for n in range(3)
    ]
    references = {("test", "de", "transcribe"): 3, ("test", "fr", "transcribe"): 10}
    found = evaluate(table(*rows), references=references)
    text = text_table(found.scores, found.averages)
    [line] = [line for line in text.splitlines() if line.startswith("all languages")]
    assert "6 of 13" in line
    assert line.count("50.0") == 6
