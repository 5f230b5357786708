"""95 % intervals by the bootstrap: utterances are drawn with replacement.

Every metric here is a function of counts summed over utterances (a micro-average). Drawing
utterances therefore means summing their counts again; no text is looked at twice.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = [
    "CONFIDENCE",
    "DRAWS_AT_ONCE",
    "RESAMPLES",
    "SEED",
    "Floats",
    "Measure",
    "Rate",
    "measured",
    "percentiles",
    "resampled_totals",
]

RESAMPLES = 1000
SEED = 0
CONFIDENCE = 0.95

DRAWS_AT_ONCE = 2**21  # three arrays of 8 bytes each: 48 MiB, for a corpus of any size

Floats = NDArray[np.float64]

Rate = Callable[[NDArray[Any]], Floats]
"""A metric as a function of summed counts, shape (…, columns) → (…)."""


@dataclass(frozen=True)
class Measure:
    """A metric over a corpus, with the ends of its 95 % interval.

    The ends are None for fewer than two utterances: every resample would be the same.
    """

    value: float
    ci_low: float | None
    ci_high: float | None


def measured(counts: NDArray[np.int64], *rates: Rate) -> list[Measure]:
    """Each metric of the corpus, all from the same resamples.

    Args:
        counts: shape (utterances, columns)
    """
    total, resampled = counts.sum(axis=0), resampled_totals(counts)
    return [
        Measure(float(rate(total)), None, None)
        if resampled is None
        else Measure(float(rate(total)), *percentiles(rate(resampled)))
        for rate in rates
    ]


def resampled_totals(counts: NDArray[np.int64]) -> Floats | None:
    """Counts summed over utterances drawn with replacement, as many as there are.

    Args:
        counts: shape (utterances, columns)

    Returns:
        shape (1000, columns), whole numbers; None for fewer than two utterances. The same
        input gives the same output. Inputs of equal length draw the same utterances in resample
        i, whatever they count.
    """
    utterances, columns = counts.shape
    if utterances < 2:
        return None
    generator = np.random.default_rng(SEED)
    values = counts.astype(np.float64)
    totals = np.empty((RESAMPLES, columns))
    at_once = max(1, DRAWS_AT_ONCE // utterances)
    for first in range(0, RESAMPLES, at_once):
        rows = min(at_once, RESAMPLES - first)
        drawn = generator.integers(0, utterances, size=(rows, utterances))
        drawn += np.arange(rows)[:, None] * utterances
        times = np.bincount(drawn.ravel(), minlength=rows * utterances)
        # How often each utterance was drawn, times its counts: one matrix product, and
        # exact, since float64 holds every whole number below 2^53.
        totals[first : first + rows] = times.reshape(rows, utterances).astype(np.float64) @ values
    return totals


def percentiles(resampled: Floats) -> tuple[float, float]:
    """The ends of the middle 95 % of resampled values."""
    tail = 50 * (1 - CONFIDENCE)
    low, high = np.percentile(resampled, [tail, 100 - tail])
    return float(low), float(high)
