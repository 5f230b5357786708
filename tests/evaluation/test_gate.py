"""What trips the gate, and what does not."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from evaluation.comparison import COMPARISON
from evaluation.gate import Override, Rules, holm, judge, message, student_tail
from evaluation.metrics import COLUMNS, error_rate
from evaluation.paired import Difference, difference


def row(found: Difference, utterances: int, **changed: Any) -> dict[str, Any]:
    """A row of a comparison: the word error rate of English, as changed."""
    return {
        "dataset": "fleurs",
        "language": "en",
        "task": "transcribe",
        "metric": "wer",
        "headline": True,
        "utterances": utterances,
        "baseline": found.baseline,
        "candidate": found.candidate,
        "difference": found.value,
        "ci_low": found.ci_low,
        "ci_high": found.ci_high,
        "standard_error": found.standard_error,
        "p_value": found.p_value,
        "better": found.value < 0 if found.value else None,
    } | changed


def table(*rows: dict[str, Any]) -> pa.Table:
    return pa.Table.from_pylist(list(rows), schema=COMPARISON)


def counts(words: NDArray[Any], errors: NDArray[Any]) -> NDArray[np.int64]:
    found = np.zeros((len(words), COLUMNS), dtype=np.int64)
    found[:, 0], found[:, 1] = words - errors, errors
    return found


def two_nights(
    random: np.random.Generator, utterances: int, worse_by: float = 0.0
) -> tuple[Difference, int]:
    """Utterances of 5 to 24 words; a tenth of the words wrong, and `worse_by` more tonight."""
    words = random.integers(5, 25, size=utterances)
    hard = random.beta(1, 9, size=utterances)
    before = counts(words, random.binomial(words, hard))
    after = counts(words, random.binomial(words, np.minimum(hard + worse_by, 1)))
    return difference(before, after, error_rate), utterances


def a_difference(value: float, error: float = 0.005, p_value: float = 0.001) -> Difference:
    """From 10 % to that much more, measured with this standard error."""
    ends = value - 2 * error, value + 2 * error
    return Difference(0.1, 0.1 + value, *ends, error, p_value)


def test_worse_beyond_margin_and_chance_is_an_alarm_with_all_that_one_wants_to_know() -> None:
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


def test_of_many_recordings_swapping_is_not_asked() -> None:
    """Drawn 1,000 times, it could never speak up among hundreds of languages."""
    found = a_difference(0.04, error=0.002, p_value=1 / 1001)
    many = [row(found, 1_000, language=f"x{number}") for number in range(400)]
    assert all(verdict.alarm for verdict in judge(table(*many), Rules()))


def test_a_single_recording_is_too_few() -> None:
    found = Difference(0.1, 0.9, None, None, None, None)
    [verdict] = judge(table(row(found, 1)), Rules())
    assert verdict.p_value is None
    assert not verdict.alarm


def test_figures_that_no_recording_moved_do_not_make_the_others_less_sure() -> None:
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


def test_only_the_headline_error_rate_is_looked_at() -> None:
    found = a_difference(0.1)
    chinese = [
        row(found, 300, language="zh", metric=metric, headline=metric == "cer")
        for metric in ("wer", "cer")
    ]
    assert [one.row["metric"] for one in judge(table(*chinese), Rules())] == ["cer"]


def test_what_has_no_margin_is_not_looked_at() -> None:
    chrf = row(a_difference(-30.0), 300, metric="chrf", task="translate", headline=False)
    assert judge(table(chrf), Rules()) == []
    [verdict] = judge(table(chrf), Rules(margins={"chrf": 1.0}))
    assert verdict.alarm


def test_the_last_override_that_covers_a_row_prevails() -> None:
    languages = ("en", "de", "zh-TW")
    found = table(*(row(a_difference(0.02), 300, language=language) for language in languages))
    rules = Rules(
        overrides=[
            Override(margin=5.0),
            Override(language="German", margin=0.1),
            Override(language="zh", action="ignore"),
            Override(dataset="another", margin=0.0),
        ]
    )
    verdicts = {one.row["language"]: one for one in judge(found, rules)}
    assert verdicts.keys() == {"en", "de"}
    assert (verdicts["en"].margin, verdicts["en"].alarm) == (5.0, False)
    assert (verdicts["de"].margin, verdicts["de"].alarm) == (0.1, True)


def test_an_override_without_a_metric_makes_no_margins() -> None:
    chrf = row(a_difference(-30.0), 300, metric="chrf", headline=False)
    assert judge(table(chrf), Rules(overrides=[Override(margin=1.0)])) == []
    assert judge(table(chrf), Rules(overrides=[Override(metric="chrf", margin=1.0)]))[0].alarm


def test_equal_systems_in_twelve_languages_trip_the_gate_in_5_of_100_nights() -> None:
    random = np.random.default_rng(11)
    nights = 40
    alarms = 0
    for _ in range(nights):
        rows = [
            row(*two_nights(random, int(random.integers(8, 120))), language=f"x{number}")
            for number in range(12)
        ]
        verdicts = judge(table(*rows), Rules(margins={"wer": 0.0}))
        alarms += any(verdict.alarm for verdict in verdicts)
    # Without the correction it would be 1 − 0.975 ** 12, or 10 nights; 6 are 1 chance in 50.
    assert alarms <= 5


def test_the_language_that_got_worse_is_found_among_twelve_and_no_other() -> None:
    random = np.random.default_rng(12)
    rows = [
        row(*two_nights(random, 500, worse_by=0.04 * (number == 7)), language=f"x{number}")
        for number in range(12)
    ]
    verdicts = judge(table(*rows), Rules())
    assert [one.row["language"] for one in verdicts if one.alarm] == ["x7"]


def test_few_recordings_that_are_worse_by_the_margin_alone_raise_few_alarms() -> None:
    """Where swapping says nothing, since there is a difference, but none beyond the margin."""
    random = np.random.default_rng(13)
    nights = 40
    alarms = 0
    for _ in range(nights):
        rows = [
            row(*two_nights(random, 12, worse_by=0.05), language=f"x{number}")
            for number in range(8)
        ]
        verdicts = judge(table(*rows), Rules(margins={"wer": 5.0}))
        alarms += any(verdict.alarm for verdict in verdicts)
    assert alarms <= 6


@pytest.mark.parametrize(
    ("t", "degrees", "tail"),
    [
        (0, 3, 0.5),
        (6.314, 1, 0.05),
        (2.920, 2, 0.05),
        (2.764, 10, 0.01),
        (2.467, 28, 0.01),
        (3.169, 10, 0.005),
        (1.660, 99, 0.05),
        (2.626, 100, 0.005),
    ],
)
def test_students_tail_is_that_of_printed_tables(t: float, degrees: int, tail: float) -> None:
    assert student_tail(t, degrees) == pytest.approx(tail, rel=2e-3)


def test_holms_correction_on_an_example_done_by_hand() -> None:
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])


@given(st.lists(st.floats(0, 1), max_size=20))
def test_holm_is_no_laxer_than_nothing_and_no_stricter_than_bonferroni(p: list[float]) -> None:
    corrected = holm(p)
    for one, after in zip(p, corrected, strict=True):
        assert one <= after <= min(1.0, one * len(p)) or after == pytest.approx(one)
    for (one, after), (other, then) in itertools.combinations(zip(p, corrected, strict=True), 2):
        assert one == other or (one < other) == (after < then) or after == then
