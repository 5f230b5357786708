"""Paired tests: a difference that is chance is not reported, a real one is found."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from evaluation.measure.paired import difference
from evaluation.measure.rates import error_rate
from tests.evaluation.simulated import substitutions, two_systems


@pytest.mark.parametrize("utterances", [8, 20, 500])
def test_equal_systems_differ_by_chance_in_5_of_100_comparisons(utterances: int) -> None:
    random = np.random.default_rng(3)
    p_values = [
        difference(*two_systems(random, utterances), error_rate).p_value for _ in range(500)
    ]
    alarms = sum(p_value is not None and p_value < 0.05 for p_value in p_values)
    # Few recordings have few outcomes, many of them alike: the test is then too careful.
    assert (0.03 if utterances >= 20 else 0.005) <= alarms / 500 <= 0.07


def test_two_recordings_prove_nothing() -> None:
    words = np.array([10, 10])
    found = difference(
        substitutions(words, words // 5), substitutions(words, words // 10), error_rate
    )
    assert found.value == pytest.approx(-0.1)
    assert found.p_value is not None
    assert found.p_value > 0.4


def test_two_points_are_found_on_500_utterances() -> None:
    random = np.random.default_rng(4)
    found = [difference(*two_systems(random, 500, 0.02), error_rate) for _ in range(40)]
    assert sum((one.p_value or 1) < 0.05 for one in found) >= 36
    covered = sum((one.ci_low or 1) <= 0.02 <= (one.ci_high or 0) for one in found)
    assert covered >= 34


def test_what_is_hard_for_both_does_not_count_as_a_difference() -> None:
    """The interval of the difference is narrower than those of the rates would make it."""
    random = np.random.default_rng(5)
    words = random.integers(5, 25, size=300)
    errors = random.binomial(words, random.beta(0.3, 1, size=300))
    one_less = np.maximum(errors - (random.random(300) < 0.3), 0)
    found = difference(substitutions(words, errors), substitutions(words, one_less), error_rate)
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
