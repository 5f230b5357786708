"""Is the difference between two systems more than chance? Paired tests on shared utterances.

Two error rates whose intervals overlap may still differ beyond doubt: both systems heard the same
recordings, and what is hard for one is hard for the other. So it is their difference that is
looked at:

- its interval comes from utterances drawn with replacement, *the same ones for both systems*
  (Koehn, "Statistical Significance Tests for Machine Translation Evaluation", EMNLP 2004; Bisani
  and Ney, "Bootstrap Estimates for Confidence Intervals in ASR Performance Evaluation", ICASSP
  2004);
- its p-value from approximate randomization: were the systems equal, either outcome of an
  utterance might as well be the other system's, so they are swapped at random (Riezler and
  Maxwell, "On Some Pitfalls in Automatic Evaluation and Significance Testing for MT", 2005). That
  holds for any number of utterances, where a bootstrap's p-value is far too small for few.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from evaluation.metrics import (
    DRAWS_AT_ONCE,
    RESAMPLES,
    SEED,
    Floats,
    percentiles,
    resampled_totals,
)

FEW = 200
"""Below so many utterances a bootstrap says too little about rare outcomes, and the randomization
test, which is cheap then, is drawn more finely."""

_FINE = 10_000

Rate = Callable[[NDArray[Any]], Floats]
"""A metric of summed counts, shape (…, columns) → (…)."""


@dataclass(frozen=True)
class Difference:
    """A metric of two systems over the same utterances.

    Attributes:
        baseline, candidate: the metric of each
        value: candidate less baseline
        ci_low, ci_high: ends of its 95 % interval
        standard_error: of the difference, from the same draws
        p_value: how often chance alone would make the difference as large, up or down; never
            below 1/1001, and 1/10,001 for fewer than `FEW` utterances

    The last four are None for fewer than two utterances.
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


def difference(baseline: NDArray[np.int64], candidate: NDArray[np.int64], rate: Rate) -> Difference:
    """Compare two systems by their counts per utterance.

    Args:
        baseline, candidate: shape (utterances, columns), the same utterance in the same row
        rate: the metric, as a function of summed counts

    Raises:
        ValueError: the shapes differ
    """
    if baseline.shape != candidate.shape:
        raise ValueError(
            "two systems are compared on the same utterances and counts: got shapes "
            f"{baseline.shape} and {candidate.shape}"
        )
    columns = baseline.shape[1]
    before, after = (float(rate(counts.sum(axis=0))) for counts in (baseline, candidate))
    resampled = resampled_totals(np.hstack([baseline, candidate]))
    if resampled is None:
        return Difference(before, after, None, None, None, None)
    drawn = rate(resampled[:, columns:]) - rate(resampled[:, :columns])
    low, high = percentiles(drawn)
    swapped = _swapped(baseline, candidate)
    by_chance = rate(swapped[:, columns:]) - rate(swapped[:, :columns])
    # Sums of floats in another order: what should be equal may differ in the last digits.
    as_far = np.abs(by_chance) >= abs(after - before) - 1e-12
    # What was found is one of the outcomes, too.
    p_value = (1 + int(as_far.sum())) / (1 + len(by_chance))
    return Difference(before, after, low, high, float(drawn.std(ddof=1)), p_value)


def _swapped(baseline: NDArray[np.int64], candidate: NDArray[np.int64]) -> Floats:
    """Summed counts of both systems with the outcomes of random utterances swapped.

    Returns shape (draws, columns of both), whole numbers; the same input gives the same output.
    """
    utterances, columns = baseline.shape
    draws = _FINE if utterances < FEW else RESAMPLES
    generator = np.random.default_rng(SEED)
    apart = (candidate - baseline).astype(np.float64)
    totals = np.empty((draws, 2 * columns))
    at_once = max(1, DRAWS_AT_ONCE // utterances)
    for first in range(0, draws, at_once):
        rows = min(at_once, draws - first)
        swaps = generator.integers(0, 2, size=(rows, utterances), dtype=np.int8)
        moved = swaps.astype(np.float64) @ apart
        totals[first : first + rows, :columns] = baseline.sum(axis=0) + moved
        totals[first : first + rows, columns:] = candidate.sum(axis=0) - moved
    return totals
