"""Recordings of one speaker or session are drawn, and swapped, together."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest

from evaluation.measure.bootstrap import measured, unit_totals
from evaluation.measure.comparison import compare
from evaluation.measure.counts import Counts
from evaluation.measure.paired import difference
from evaluation.measure.rates import error_measures, error_rate
from evaluation.measure.sampling import sampling_of
from evaluation.measure.scoring import score
from tests.evaluation.conftest import PairMaker, table
from tests.evaluation.simulated import substitutions

SPEAKERS, EACH = 20, 15


def of_speakers(random: np.random.Generator) -> tuple[Counts, Counts, np.ndarray]:
    """Counts of two equal systems, and the speaker of each utterance.

    Each speaker has an own chance of an error with each system, 10 % on average.
    """
    speakers = np.repeat(np.arange(SPEAKERS), EACH)
    words = random.integers(5, 25, size=SPEAKERS * EACH)
    one, other = (
        substitutions(words, random.binomial(words, random.beta(1, 9, size=SPEAKERS)[speakers]))
        for _ in range(2)
    )
    return one, other, speakers


def test_intervals_of_few_speakers_cover_the_true_rate() -> None:
    random = np.random.default_rng(1)
    by_speaker = by_utterance = 0
    for _ in range(100):
        counts, _, speakers = of_speakers(random)
        for units in (speakers, None):
            [found] = measured(counts, error_rate, units=units)
            assert found.ci_low is not None
            assert found.ci_high is not None
            covered = found.ci_low <= 0.1 <= found.ci_high
            by_speaker += covered and units is not None
            by_utterance += covered and units is None
    assert by_speaker >= 85  # of 100: twenty speakers do not show everything
    assert by_utterance <= 70  # what drawing utterances one by one would promise and not keep


def test_equal_systems_differ_by_chance_in_5_of_100_comparisons_of_speakers() -> None:
    random = np.random.default_rng(2)
    alarms = {"speakers": 0, "utterances": 0}
    for _ in range(60):
        one, other, speakers = of_speakers(random)
        for name, units in (("speakers", speakers), ("utterances", None)):
            alarms[name] += (difference(one, other, error_rate, units).p_value or 1) < 0.05
    assert alarms["speakers"] <= 7
    assert alarms["utterances"] >= 15


def test_units_of_one_utterance_are_drawn_as_utterances_are() -> None:
    random = np.random.default_rng(3)
    one, other, _ = of_speakers(random)
    units = np.arange(len(one))
    assert error_measures(one, units) == error_measures(one)
    assert difference(one, other, error_rate, units) == difference(one, other, error_rate)


@pytest.mark.parametrize("units", [[0, 0], [0, 0, 1, 1]])
def test_every_utterance_has_one_unit(units: list[int]) -> None:
    with pytest.raises(ValueError, match="every utterance needs its unit"):
        unit_totals(np.ones((3, 2), np.int64), np.array(units))


def test_totals_of_units_are_sums() -> None:
    counts = np.arange(8).reshape(4, 2)
    assert unit_totals(counts, np.array([0, 1, 0, 1])).tolist() == [[4, 6], [8, 10]]


@pytest.mark.parametrize(
    ("names", "unit", "number"),
    [
        ([{}, {}, {}], "recording", 3),
        ([{"speaker": None}, {"speaker": ""}, {"session": None}], "recording", 3),
        ([{"speaker": "a"}, {"speaker": "b"}, {"speaker": "a"}], "speaker", 2),
        ([{"session": "1"}, {"session": "1"}, {"session": "1"}], "session", 1),
        ([{"speaker": "a"}, {}, {}], "speaker", 3),
        # The larger units, whichever those are.
        ([{"speaker": "a", "session": "1"}, {"speaker": "b", "session": "1"}], "session", 1),
        ([{"speaker": "a", "session": "1"}, {"speaker": "a", "session": "2"}], "speaker", 1),
        # A name that is the number of a row is no row.
        ([{"speaker": "1"}, {}, {"speaker": "1"}], "speaker", 2),
    ],
)
def test_the_unit_is_what_pairs_name(names: list[dict[str, str]], unit: str, number: int) -> None:
    found = sampling_of(names)
    assert (found.unit, found.number) == (unit, number)


def spoken(pair: PairMaker, hypothesis: str, task: str = "transcribe") -> pa.Table:
    return table(
        *(
            pair(
                task=task,
                recording_id=f"r{number}",
                reference="one two three four five",
                hypothesis=hypothesis if number < 4 else "one two three four five",
                detected_language="en",
                speaker="anna" if number < 4 else "ben",
            )
            for number in range(8)
        )
    )


@pytest.mark.parametrize("task", ["transcribe", "translate"])
def test_every_score_names_its_unit(pair: PairMaker, task: str) -> None:
    rows = score(spoken(pair, "one two three four six", task)).to_pylist()
    assert rows
    assert {(row["sampling_unit"], row["sampling_units"]) for row in rows} == {("speaker", 2)}
    assert {row["utterances"] for row in rows} == {8}


@pytest.mark.parametrize("task", ["transcribe", "translate"])
def test_two_speakers_prove_nothing_however_much_they_say(pair: PairMaker, task: str) -> None:
    before, after = spoken(pair, "one two three four six", task), spoken(pair, "no", task)
    rows = [row for row in compare(before, after).to_pylist() if row["metric"] != "lid_accuracy"]
    assert {(row["sampling_unit"], row["sampling_units"]) for row in rows} == {("speaker", 2)}
    differing = [row["p_value"] for row in rows if row["difference"]]
    assert differing
    assert min(differing) > 0.4


def test_one_speaker_has_no_interval(pair: PairMaker) -> None:
    found = spoken(pair, "one").slice(0, 4)
    assert {row["ci_low"] for row in score(found).to_pylist()} == {None}
