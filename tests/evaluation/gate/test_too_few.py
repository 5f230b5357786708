"""If no loss could have been told from chance, the gate says so, and not that a figure is held."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from evaluation.gate.findings import Findings, find, findings_summary
from evaluation.gate.judging import TOO_FEW, judge
from evaluation.gate.rules import Override, Rules
from evaluation.gate.significance import (
    counted_tests,
    p_value_beyond,
    smallest_p_value_beyond,
    units_needed,
)
from evaluation.measure.paired import FEW, Difference, difference, smallest_p_value
from evaluation.measure.rates import error_rate
from evaluation.measure.scoring import score
from tests.evaluation.comparisons import row, table
from tests.evaluation.conftest import PairMaker
from tests.evaluation.conftest import table as pair_table
from tests.evaluation.simulated import substitutions


def collapsed(utterances: int) -> Difference:
    """From hardly an error to nothing but errors, in every utterance."""
    words = np.full(utterances, 61)
    none = np.zeros(utterances, np.int64)
    none[0] = 1
    return difference(substitutions(words, none), substitutions(words, words), error_rate)


def outcomes(*rows: dict[str, Any], rules: Rules | None = None) -> list[str]:
    return [verdict.outcome for verdict in judge(table(*rows), rules or Rules())]


@pytest.mark.parametrize("units", [2, 3, 5, 8, 13, 14, 50, FEW])
def test_no_test_gives_a_smaller_p_value_and_the_clearest_loss_gives_it(units: int) -> None:
    found = collapsed(units)
    assert found.p_value is not None
    assert found.p_value == smallest_p_value(units) >= 2.0 ** (1 - units)
    p_value = p_value_beyond(0.5, row(found, units))
    assert p_value is not None
    assert p_value >= smallest_p_value_beyond(units)
    if units <= 13:
        assert p_value == smallest_p_value_beyond(units) == 0.5**units


@pytest.mark.parametrize(
    ("utterances", "outcome"),
    [(1, TOO_FEW), (2, TOO_FEW), (4, TOO_FEW), (5, "worse"), (9, "worse")],
)
def test_a_collapse_of_four_recordings_is_too_few_to_tell(utterances: int, outcome: str) -> None:
    [verdict] = judge(table(row(collapsed(utterances), utterances)), Rules())
    assert verdict.outcome == outcome
    assert verdict.needed == (5 if outcome == TOO_FEW else None)
    assert not (verdict.closes and outcome == TOO_FEW)


@pytest.mark.parametrize(("figures", "enough"), [(1, 5), (2, 6), (6, 7), (12, 8), (100, 11)])
def test_what_is_enough_depends_on_the_number_of_figures(figures: int, enough: int) -> None:
    for utterances, outcome in ((enough - 1, TOO_FEW), (enough, "worse")):
        rows = [row(collapsed(utterances), utterances, language=f"x{n}") for n in range(figures)]
        assert set(outcomes(*rows)) == {outcome}


@pytest.mark.parametrize(("alpha", "enough"), [(0.2, 3), (0.05, 5), (0.01, 7), (0.0002, 13)])
def test_what_is_enough_depends_on_alpha(alpha: float, enough: int) -> None:
    assert units_needed([], alpha) == enough
    rules = Rules(alpha=alpha)
    assert outcomes(row(collapsed(enough - 1), enough - 1), rules=rules) == [TOO_FEW]
    assert outcomes(row(collapsed(enough), enough), rules=rules) == ["worse"]


def test_what_cannot_be_told_takes_nothing_from_what_can() -> None:
    """Five recordings are enough for one figure, and not for the 31 figures that were judged."""
    many = [row(collapsed(4), 4, language=f"x{number}") for number in range(30)]
    assert outcomes(row(collapsed(5), 5), *many) == ["worse", *[TOO_FEW] * 30]


def test_unchanged_and_improved_figures_say_what_the_test_could_have_found() -> None:
    still = Difference(0.1, 0.1, 0.1, 0.1, 0.0, 1.0)
    better = Difference(0.3, 0.1, -0.3, -0.1, 0.05, 0.03)
    rows = [
        row(still, 4, language="de"),
        row(still, 40, language="en"),
        row(better, 6, language="fr"),
        row(better, 40, language="es"),
    ]
    assert outcomes(*rows) == [TOO_FEW, "held", "better", "better"]


def test_speakers_count_and_not_their_recordings() -> None:
    found = collapsed(4)
    rows = [row(found, 400, sampling_unit="speaker", sampling_units=4)]
    assert outcomes(*rows) == [TOO_FEW]


def test_tests_that_cannot_succeed_are_not_counted() -> None:
    assert counted_tests([], 0.05) == 1
    assert counted_tests([0.0] * 12, 0.05) == 12
    assert counted_tests([0.0] * 12 + [0.03] * 12, 0.05) == 12
    assert counted_tests([0.03] * 12, 0.05) == 2


@pytest.fixture
def four(pair: PairMaker) -> Any:
    """A function from the rules to what they say of four French recordings that collapsed."""

    def judged(rules: Rules, recordings: int = 4, **named: str) -> Findings:
        before, after = (
            pair_table(
                *(
                    pair(
                        language="fr",
                        recording_id=f"r{number}",
                        reference="un deux trois quatre",
                        hypothesis=text,
                        **named,
                    )
                    for number in range(recordings)
                )
            )
            for text in ("un deux trois quatre", "rien")
        )
        return find(score(after), before, after, rules)

    return judged


def test_four_recordings_that_collapsed_are_said_to_be_too_few(four: Any) -> None:
    found = four(Rules())
    assert found.alarms == []
    [warning] = found.warnings
    assert warning == (
        "French (fr) of test, transcribe: too few to tell: WER 100.00 % against 0.00 % on 4 "
        "recordings. The smallest p that these can give is 0.062 (one direction, corrected for 1 "
        "figure), and it must be below 0.05: that needs 5 recordings. A limit, such as max_wer, "
        "needs none"
    )
    assert "1 is too few to tell" in findings_summary(found)


@pytest.mark.parametrize(
    ("rules", "closes"),
    [
        (Rules(on_too_few="fail"), True),
        (Rules(on_too_few="warn"), False),
        (Rules(on_too_few="fail", action="warn"), False),
        (Rules(on_too_few="fail", overrides=[Override(language="fr", on_too_few="warn")]), False),
        (Rules(overrides=[Override(dataset="test", on_too_few="fail")]), True),
        (Rules(on_too_few="fail", overrides=[Override(language="fr", action="warn")]), False),
    ],
)
def test_the_rules_say_what_happens_then(rules: Rules, closes: bool, four: Any) -> None:
    found = four(rules)
    assert len(found.undecided) == len(found.alarms) == closes
    assert len(found.warnings) == (not closes)
    assert {row["closes"] for row in found.rows} == {closes}


def test_what_is_ignored_is_not_said_to_be_too_few(four: Any) -> None:
    found = four(Rules(overrides=[Override(language="fr", action="ignore")]))
    assert (found.alarms, found.warnings, found.rows) == ([], [], [])


def test_the_message_names_speakers(four: Any) -> None:
    [warning] = four(Rules(), 20, speaker="anne").warnings
    assert "on 20 recordings of 1 speaker. " in warning
    assert "that needs 5 speakers" in warning
