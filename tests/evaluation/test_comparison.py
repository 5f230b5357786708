"""Two systems on the same recordings: what differs, and whether that is more than chance."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from evaluation.comparison import compare, most_changed
from evaluation.metrics import COLUMNS, error_rate
from evaluation.paired import difference
from evaluation.scoring import PAIRS, score
from tests.evaluation.conftest import PairMaker


def counts(words: NDArray[Any], errors: NDArray[Any]) -> NDArray[np.int64]:
    table = np.zeros((len(words), COLUMNS), dtype=np.int64)
    table[:, 0], table[:, 1] = words - errors, errors
    return table


def two_systems(
    random: np.random.Generator, utterances: int, worse_by: float
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Utterances of 5 to 24 words, easy ones and hard ones for both; 10 % of errors on average."""
    words = random.integers(5, 25, size=utterances)
    hard = random.beta(1, 9, size=utterances)
    harder = np.minimum(hard + worse_by, 1)
    return (
        counts(words, random.binomial(words, hard)),
        counts(words, random.binomial(words, harder)),
    )


@pytest.mark.parametrize("utterances", [8, 20, 500])
def test_equal_systems_differ_by_chance_in_5_of_100_comparisons(utterances: int) -> None:
    random = np.random.default_rng(3)
    alarms = sum(
        (difference(*two_systems(random, utterances, 0.0), error_rate).p_value or 1) < 0.05
        for _ in range(500)
    )
    # Few recordings have few outcomes, many of them alike: the test errs on the safe side then.
    assert (0.03 if utterances >= 20 else 0) <= alarms / 500 <= 0.07


def test_recordings_in_which_nothing_is_said_have_no_rate_to_quote(pair: PairMaker) -> None:
    rows = [
        pair(recording_id=f"r{number}", reference="", hypothesis=hypothesis)
        for hypothesis in ("", "thank you")
        for number in range(3)
    ]
    before, after = (pa.Table.from_pylist(part, schema=PAIRS) for part in (rows[:3], rows[3:]))
    assert not any(compare(before, after)["headline"].to_pylist())


def test_two_recordings_prove_nothing() -> None:
    words = np.array([10, 10])
    found = difference(counts(words, words // 5), counts(words, words // 10), error_rate)
    assert found.value == pytest.approx(-0.1)
    assert found.p_value is not None
    assert found.p_value > 0.4


def test_two_points_are_found_on_500_utterances() -> None:
    random = np.random.default_rng(4)
    found = [difference(*two_systems(random, 500, 0.02), error_rate) for _ in range(40)]
    assert sum((one.p_value or 1) < 0.05 for one in found) >= 36
    covered = sum((one.ci_low or 1) <= 0.02 <= (one.ci_high or 0) for one in found)
    assert covered >= 34


def test_what_both_find_hard_does_not_count_as_a_difference() -> None:
    """The interval of the difference is narrower than those of the rates would make it."""
    random = np.random.default_rng(5)
    words = random.integers(5, 25, size=300)
    errors = random.binomial(words, random.beta(0.3, 1, size=300))
    one_less = np.maximum(errors - (random.random(300) < 0.3), 0)
    found = difference(counts(words, errors), counts(words, one_less), error_rate)
    assert found.ci_low is not None
    assert found.ci_high is not None
    assert found.ci_high < 0
    assert found.p_value == pytest.approx(1 / 1001)
    assert found.ci_high - found.ci_low < 0.02


@settings(deadline=None, max_examples=30)
@given(st.integers(2, 60), st.integers(0, 2**32 - 1))
def test_swapping_the_systems_turns_the_difference_around(utterances: int, seed: int) -> None:
    one, other = two_systems(np.random.default_rng(seed), utterances, 0.05)
    there, back = difference(one, other, error_rate), difference(other, one, error_rate)
    assert there.value == pytest.approx(-back.value)
    assert there.ci_low == pytest.approx(-(back.ci_high or 0))
    assert there.ci_high == pytest.approx(-(back.ci_low or 0))
    assert there.p_value == pytest.approx(back.p_value)


def test_other_utterances_cannot_be_compared() -> None:
    with pytest.raises(ValueError, match="same utterances"):
        difference(np.ones((3, 4), np.int64), np.ones((2, 4), np.int64), error_rate)


def test_a_system_does_not_differ_from_itself(sample_pairs: pa.Table) -> None:
    rows = compare(sample_pairs, sample_pairs).to_pylist()
    assert {row["metric"] for row in rows} == {"wer", "cer", "lid_accuracy", "bleu", "chrf"}
    for row in rows:
        assert row["difference"] == 0
        assert row["better"] is None
        assert row["p_value"] in (None, 1.0)
    assert most_changed(sample_pairs, sample_pairs, 3) == [[]] * len(
        {(row["dataset"], row["language"], row["task"]) for row in rows}
    )


def test_both_sides_are_what_scoring_says(sample_pairs: pa.Table) -> None:
    """Each side's values, over the recordings that both have, are its scores."""
    rows = sample_pairs.to_pylist()
    silent = pa.Table.from_pylist([{**row, "hypothesis": ""} for row in rows], schema=PAIRS)
    scores = {
        (row["language"], row["task"], row["metric"]): row["value"]
        for row in score(sample_pairs).to_pylist()
    }
    for row in compare(silent, sample_pairs).to_pylist():
        key = row["language"], row["task"], row["metric"]
        assert row["candidate"] == pytest.approx(scores[key])
        if row["metric"] in ("wer", "cer"):
            assert row["baseline"] == 1
            assert row["better"] is (row["candidate"] < 1)
        if row["metric"] == "bleu":
            assert row["baseline"] == 0
            assert row["better"]


def test_only_what_both_have_is_compared_by_the_newer_reference(pair: PairMaker) -> None:
    def table(*rows: dict[str, Any]) -> pa.Table:
        return pa.Table.from_pylist(list(rows), schema=PAIRS)

    before = table(
        pair(recording_id="a", reference="night train", hypothesis="night rain", model_id="old"),
        pair(recording_id="b", reference="harbour", hypothesis="arbour", model_id="old"),
        pair(recording_id="c", reference="only here", hypothesis="x", model_id="old"),
    )
    after = table(
        pair(recording_id="a", reference="night rain", hypothesis="night", model_id="new"),
        pair(recording_id="b", reference="harbour", hypothesis="harbour", model_id="new"),
        pair(recording_id="d", reference="only there", hypothesis="x", model_id="new"),
    )
    [wer, _] = compare(before, after).to_pylist()
    assert wer["headline"]
    assert wer["utterances"] == 2
    assert wer["baseline"] == wer["candidate"] == pytest.approx(1 / 3)
    [[first, second]] = most_changed(before, after, 5)
    changed = {one.candidate["recording_id"]: one.change for one in (first, second)}
    assert changed == {"a": 1, "b": -1}
    assert first.baseline["reference"] == first.candidate["reference"]
    made_up = "thanks for watching please subscribe to this channel"
    longer = table(pair(recording_id="a", reference="rain", hypothesis=f"rain {made_up}"))
    [[one]] = most_changed(before, longer, 5)
    # One error before, by the newer reference, and eight words that nobody said now.
    assert one.change == 8 - 1
    with pytest.raises(ValueError, match="recording a of test twice"):
        compare(before, table(*after.to_pylist(), pair(recording_id="a", model_id="other")))
