"""The statistics of the gate: Student's distribution, and Holm's correction."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from evaluation.gate.significance import holm, student_tail


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
