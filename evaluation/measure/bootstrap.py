"""95 % intervals by the bootstrap: utterances, or all those of a speaker, are drawn at random.

Every metric here is a function of counts summed over utterances (a micro-average). Drawing
utterances with replacement therefore means summing their counts again; no text is looked at twice.

Utterances of one speaker are not independent: an accent or a microphone is in all of them. Drawn
one by one, they give too narrow an interval. So the utterances of a unit are drawn together, and
what is drawn is as many units as there are (the cluster bootstrap: Davison and Hinkley, "Bootstrap
Methods and their Application", 1997, section 3.8; for error rates of speech, Bisani and Ney,
ICASSP 2004).
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
    "Units",
    "measured",
    "percentiles",
    "resampled_totals",
    "unit_totals",
]

RESAMPLES = 1000
SEED = 0
CONFIDENCE = 0.95

DRAWS_AT_ONCE = 2**21  # three arrays of 8 bytes each: 48 MiB, for a corpus of any size

Floats = NDArray[np.float64]

Rate = Callable[[NDArray[Any]], Floats]
"""A metric as a function of summed counts, shape (…, columns) → (…)."""

Units = NDArray[np.int64]
"""The unit of each utterance, shape (utterances,): numbers from 0, none left out."""


@dataclass(frozen=True)
class Measure:
    """A metric over a corpus, with the ends of its 95 % interval.

    The ends are None for fewer than two units: every resample would be the same.
    """

    value: float
    ci_low: float | None
    ci_high: float | None


def measured(counts: NDArray[np.int64], *rates: Rate, units: Units | None = None) -> list[Measure]:
    """Each metric of the corpus, all from the same resamples.

    Args:
        counts: shape (utterances, columns)
        units: what is drawn; None: each utterance
    """
    total, resampled = counts.sum(axis=0), resampled_totals(unit_totals(counts, units))
    return [
        Measure(float(rate(total)), None, None)
        if resampled is None
        else Measure(float(rate(total)), *percentiles(rate(resampled)))
        for rate in rates
    ]


def unit_totals(counts: NDArray[np.int64], units: Units | None) -> NDArray[np.int64]:
    """Counts summed over the utterances of each unit, shape (units, columns).

    Raises:
        ValueError: there are not as many units as utterances
    """
    if units is None:
        return counts
    if units.shape != counts.shape[:1]:
        raise ValueError(
            f"every utterance needs its unit: got {len(counts)} utterances and {len(units)} units"
        )
    totals = np.zeros((int(units.max(initial=-1)) + 1, counts.shape[1]), dtype=np.int64)
    np.add.at(totals, units, counts)
    return totals


def resampled_totals(counts: NDArray[np.int64], stream: int = 0) -> Floats | None:
    """Counts summed over units drawn with replacement, as many as there are.

    Args:
        counts: shape (units, columns)
        stream: the sequence of random numbers; equal ones draw alike, others independently

    Returns:
        shape (1000, columns), whole numbers; None for fewer than two units. The same input gives
        the same output. Inputs of equal length draw the same units in resample i, whatever they
        count.
    """
    number, columns = counts.shape
    if number < 2:
        return None
    generator = np.random.default_rng([SEED, stream] if stream else SEED)
    values = counts.astype(np.float64)
    totals = np.empty((RESAMPLES, columns))
    at_once = max(1, DRAWS_AT_ONCE // number)
    for first in range(0, RESAMPLES, at_once):
        rows = min(at_once, RESAMPLES - first)
        drawn = generator.integers(0, number, size=(rows, number))
        drawn += np.arange(rows)[:, None] * number
        times = np.bincount(drawn.ravel(), minlength=rows * number)
        # How often each unit was drawn, times its counts: one matrix product, and
        # exact, since float64 holds every whole number below 2^53.
        totals[first : first + rows] = times.reshape(rows, number).astype(np.float64) @ values
    return totals


def percentiles(resampled: Floats) -> tuple[float, float]:
    """The ends of the middle 95 % of resampled values."""
    tail = 50 * (1 - CONFIDENCE)
    low, high = np.percentile(resampled, [tail, 100 - tail])
    return float(low), float(high)
