"""Is the difference between two systems more than chance? Paired bootstrap on shared utterances.

Two error rates whose intervals overlap may still differ beyond doubt: both systems heard the same
recordings, and what is hard for one is hard for the other. So utterances are drawn with
replacement, *the same ones for both systems*, and it is their difference that is looked at
(Koehn, "Statistical Significance Tests for Machine Translation Evaluation", EMNLP 2004; Bisani and
Ney, "Bootstrap Estimates for Confidence Intervals in ASR Performance Evaluation", ICASSP 2004).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from evaluation.metrics import Floats, percentiles, resampled_totals

Rate = Callable[[NDArray[Any]], Floats]
"""A metric of summed counts, shape (…, columns) → (…)."""


@dataclass(frozen=True)
class Difference:
    """A metric of two systems over the same utterances.

    Attributes:
        baseline, candidate: the metric of each
        value: candidate less baseline
        ci_low, ci_high: ends of its 95 % interval
        p_value: how often chance alone would make the difference as large, up or down

    The last three are None for fewer than two utterances.
    """

    baseline: float
    candidate: float
    ci_low: float | None
    ci_high: float | None
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

    The p-value is that of the bootstrap shifted to no difference: the share of resamples whose
    difference lies at least as far from the one found as that lies from 0, with one more counted
    so that it is never 0 (Davison and Hinkley, "Bootstrap Methods and their Application", 1997,
    section 4.4).

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
        return Difference(before, after, None, None, None)
    drawn = rate(resampled[:, columns:]) - rate(resampled[:, :columns])
    found = after - before
    # Sums of floats in another order: what should be equal may differ in the last digits.
    as_far = np.abs(drawn - found) >= abs(found) - 1e-12
    p_value = (1 + int(as_far.sum())) / (1 + len(drawn))
    low, high = percentiles(drawn)
    return Difference(before, after, low, high, p_value)
