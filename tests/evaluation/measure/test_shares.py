"""Shares of right recordings."""

from __future__ import annotations

import pytest

from evaluation.measure.shares import accuracy


def test_accuracy_is_the_share_of_right_ones() -> None:
    measure = accuracy([True, True, False, True])
    assert measure.value == 0.75
    assert measure.ci_low is not None
    assert measure.ci_high is not None
    assert 0 <= measure.ci_low <= 0.75 <= measure.ci_high <= 1
    with pytest.raises(ValueError, match="at least one"):
        accuracy([])
