"""Paired tests: is the difference between two systems more than chance?

Two error rates whose intervals overlap may still differ significantly: both systems transcribed
the same recordings, and a recording that is hard for one is hard for the other. The tests
therefore look at the difference:

- its interval comes from units drawn with replacement, *the same ones for both systems*
  (Koehn, "Statistical Significance Tests for Machine Translation Evaluation", EMNLP 2004; Bisani
  and Ney, "Bootstrap Estimates for Confidence Intervals in ASR Performance Evaluation", ICASSP
  2004);
- its p-value comes from approximate randomization: if the systems are equal, their outcomes of a
  unit can be exchanged, so they are swapped at random (Riezler and Maxwell, "On Some Pitfalls in
  Automatic Evaluation and Significance Testing for MT", 2005). That is valid for any number of
  units; a bootstrap's p-value is far too small for few. Of few units, all ways to swap are tried,
  so the p-value is exact (Fisher, "The Design of Experiments", 1935, section 21).

A unit is an utterance, or all utterances of a speaker (see `bootstrap`): a system that is worse for
one speaker is worse in all of the speaker's utterances, which prove no more than one.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache

import numpy as np
from numpy.typing import NDArray

from evaluation.measure.bootstrap import (
    DRAWS_AT_ONCE,
    RESAMPLES,
    SEED,
    Floats,
    Rate,
    Units,
    percentiles,
    resampled_totals,
    unit_totals,
)

__all__ = ["FEW", "Difference", "difference", "smallest_p_value"]

FEW = 200
"""Fewer units than this are few: a bootstrap then says too little about rare outcomes. The
randomization test is cheap for few units: `_FINE` ways to swap are drawn, or all are tried."""

_FINE = 10_000

_EXACT = 13
"""Units of which all 2¹³ = 8,192 ways to swap are tried, which are fewer than `_FINE`."""


@dataclass(frozen=True)
class Difference:
    """A metric of two systems over the same utterances.

    Attributes:
        baseline, candidate: the metric of each
        value: candidate less baseline
        ci_low, ci_high: ends of its 95 % interval
        standard_error: of the difference, from the same draws
        p_value: probability that chance alone makes the difference as large, in either
            direction; never below `smallest_p_value`

    The last four are None for fewer than two units.
    """

    baseline: float
    candidate: float
    ci_low: float | None
    ci_high: float | None
    standard_error: float | None
    p_value: float | None

    @property
    def value(self) -> float:
        """Candidate less baseline."""
        return self.candidate - self.baseline


def difference(
    baseline: NDArray[np.int64],
    candidate: NDArray[np.int64],
    rate: Rate,
    units: Units | None = None,
) -> Difference:
    """Compare two systems by their counts per utterance.

    Args:
        baseline, candidate: shape (utterances, columns), the same utterance in the same row
        rate: the metric, as a function of summed counts
        units: what is drawn and swapped; None: each utterance

    Raises:
        ValueError: the shapes differ, or there are not as many units as utterances
    """
    if baseline.shape != candidate.shape:
        raise ValueError(
            "two systems are compared on the same utterances and counts: got shapes "
            f"{baseline.shape} and {candidate.shape}"
        )
    baseline, candidate = unit_totals(baseline, units), unit_totals(candidate, units)
    columns = baseline.shape[1]
    before, after = (float(rate(counts.sum(axis=0))) for counts in (baseline, candidate))
    resampled = resampled_totals(np.hstack([baseline, candidate]))
    if resampled is None:
        return Difference(before, after, None, None, None, None)
    drawn = rate(resampled[:, columns:]) - rate(resampled[:, :columns])
    low, high = percentiles(drawn)
    swapped = _swapped(baseline, candidate)
    by_chance = rate(swapped[:, columns:]) - rate(swapped[:, :columns])
    # Floats summed in another order: equal differences may differ in the last digits.
    as_far = np.abs(by_chance) >= abs(after - before) - 1e-12
    p_value = _p_value(len(baseline), int(as_far.sum()), len(by_chance))
    return Difference(before, after, low, high, float(drawn.std(ddof=1)), p_value)


@cache
def smallest_p_value(units: int) -> float:
    """The p-value of a difference that is as clear as it can be: all units got worse, or better.

    Of the 2ⁿ equally probable ways to swap n units, two are always as far apart as the systems are:
    that in which nothing is swapped, and that in which everything is. So the p-value is never below
    2¹⁻ⁿ (Fisher, 1935, section 21). If ways are drawn, the same two count if they were drawn, and
    the observed one does.

    >>> smallest_p_value(4)
    0.125
    """
    if units < 2:
        return 1.0
    ways = extreme = 0
    for swaps in _swaps(units):
        swapped = swaps.sum(axis=1, dtype=np.int64)
        ways += len(swaps)
        extreme += int(((swapped == 0) | (swapped == units)).sum())
    return _p_value(units, extreme, ways)


def _p_value(units: int, as_far: int, ways: int) -> float:
    """The share of ways to swap that are as far as the observed outcome, which is one of them."""
    observed = 0 if units <= _EXACT else 1  # among all ways, it is counted already
    return (observed + as_far) / (observed + ways)


def _swaps(units: int) -> Iterator[NDArray[np.int8]]:
    """Ways to swap, in blocks of shape (ways, units): all of them, or the same random ones."""
    at_once = max(1, DRAWS_AT_ONCE // units)
    if units <= _EXACT:
        for first in range(0, 2**units, at_once):
            ways = np.arange(first, min(first + at_once, 2**units))
            yield ((ways[:, None] >> np.arange(units)) & 1).astype(np.int8)
        return
    draws = _FINE if units < FEW else RESAMPLES
    generator = np.random.default_rng(SEED)
    for first in range(0, draws, at_once):
        rows = min(at_once, draws - first)
        yield generator.integers(0, 2, size=(rows, units), dtype=np.int8)


def _swapped(baseline: NDArray[np.int64], candidate: NDArray[np.int64]) -> Floats:
    """Summed counts of both systems, with the outcomes of units swapped in many ways.

    Returns shape (ways, columns of both), whole numbers. The same input gives the same output.
    """
    change = (candidate - baseline).astype(np.float64)
    before, after = baseline.sum(axis=0), candidate.sum(axis=0)
    totals = []
    for swaps in _swaps(len(baseline)):
        moved = swaps.astype(np.float64) @ change
        totals.append(np.hstack([before + moved, after - moved]))
    return np.concatenate(totals)
