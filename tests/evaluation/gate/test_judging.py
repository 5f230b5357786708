"""What is an alarm, and what is not."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from evaluation.gate.judging import judge, message
from evaluation.gate.rules import Rules
from evaluation.measure.paired import Difference, difference
from evaluation.measure.rates import error_rate
from tests.evaluation.comparisons import a_difference, row, table
from tests.evaluation.simulated import two_systems


def night(
    random: np.random.Generator, utterances: int, language: str, worse_by: float = 0.0
) -> dict[str, Any]:
    """A row of a comparison of two simulated systems."""
    found = difference(*two_systems(random, utterances, worse_by), error_rate)
    return row(found, utterances, language=language)


def test_worse_beyond_margin_and_chance_is_an_alarm_that_says_where_and_by_how_much() -> None:
    [verdict] = judge(table(row(a_difference(0.04), 300)), Rules())
    assert verdict.alarm
    text = message(verdict, ["a.wav", "b.wav"])
    for part in (
        "English (en) of fleurs, transcribe",
        "WER 14.00 % against 10.00 %, worse",
        "worse by 4.00 points (95 % interval 3.00 to 5.00, tolerated 0.5",
        "on 300 recordings",
        "listen to a.wav, b.wav",
    ):
        assert part in text


@pytest.mark.parametrize(
    ("found", "utterances", "why"),
    [
        (a_difference(-0.04), 300, "better"),
        (a_difference(0.0), 300, "the same"),
        (a_difference(0.004), 300, "within the margin"),
        (a_difference(0.01, error=0.004), 300, "not surely beyond the margin"),
        (a_difference(0.04, p_value=0.2), 30, "few recordings, which swapping does not tell apart"),
    ],
)
def test_no_alarm(found: Difference, utterances: int, why: str) -> None:
    [verdict] = judge(table(row(found, utterances)), Rules())
    assert not verdict.alarm, why


def test_many_recordings_are_judged_without_swapping() -> None:
    """Drawn 1,000 times, its p-value is never small enough for hundreds of languages."""
    found = a_difference(0.04, error=0.002, p_value=1 / 1001)
    many = [row(found, 1_000, language=f"x{number}") for number in range(400)]
    assert [verdict.alarm for verdict in judge(table(*many), Rules())] == [True] * 400


def test_a_single_recording_is_too_few() -> None:
    found = Difference(0.1, 0.9, None, None, None, None)
    [verdict] = judge(table(row(found, 1)), Rules())
    assert verdict.p_value is None
    assert not verdict.alarm


def test_unchanged_figures_do_not_weaken_the_evidence_of_the_others() -> None:
    still = Difference(0.1, 0.1, 0.1, 0.1, 0.0, 1.0)
    found = row(a_difference(0.02, p_value=0.02), 30)
    rows = [found, *(row(still, 30, language=f"x{number}") for number in range(20))]
    assert [verdict.alarm for verdict in judge(table(*rows), Rules())] == [True] + [False] * 20


def test_lower_bleu_is_worse_and_higher_is_not() -> None:
    fallen = Difference(40.0, 35.0, -6.0, -4.0, 0.5, 0.001)
    risen = Difference(35.0, 40.0, 4.0, 6.0, 0.5, 0.001)
    rows = [
        row(found, 300, metric="bleu", task="translate", language=language)
        for found, language in ((fallen, "de"), (risen, "fr"))
    ]
    german, french = judge(table(*rows), Rules())
    assert (german.alarm, french.alarm) == (True, False)
    assert "BLEU 35.00 against 40.00, worse by 5.00 points (95 % interval 4.00 to 6.00" in message(
        german, []
    )


def test_equal_systems_in_twelve_languages_fail_the_gate_in_5_of_100_nights() -> None:
    random = np.random.default_rng(11)
    nights = 40
    alarms = 0
    for _ in range(nights):
        rows = [night(random, int(random.integers(8, 120)), f"x{number}") for number in range(12)]
        verdicts = judge(table(*rows), Rules(margins={"wer": 0.0}))
        assert len(verdicts) == 12
        alarms += any(verdict.alarm for verdict in verdicts)
    # Without the correction it would be 1 − 0.975 ** 12, or 10 nights; 6 are 1 chance in 50.
    assert alarms <= 5


def test_the_language_that_got_worse_is_found_among_twelve_and_no_other() -> None:
    random = np.random.default_rng(12)
    rows = [night(random, 500, f"x{number}", worse_by=0.04 * (number == 7)) for number in range(12)]
    verdicts = judge(table(*rows), Rules())
    assert [one.row["language"] for one in verdicts if one.alarm] == ["x7"]


def test_few_recordings_that_are_worse_by_the_margin_alone_raise_few_alarms() -> None:
    """Swapping finds the difference, but it is not beyond the margin."""
    random = np.random.default_rng(13)
    nights = 40
    alarms = 0
    for _ in range(nights):
        rows = [night(random, 12, f"x{number}", worse_by=0.05) for number in range(8)]
        verdicts = judge(table(*rows), Rules(margins={"wer": 5.0}))
        assert len(verdicts) == 8
        alarms += any(verdict.alarm for verdict in verdicts)
    assert alarms <= 6
