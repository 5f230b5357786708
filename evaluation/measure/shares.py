"""Shares of a corpus, with their intervals: a part of each utterance over its whole."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from evaluation.measure.bootstrap import Floats, Measure, Units, measured


def accuracy(correct: Sequence[bool], units: Units | None = None) -> Measure:
    """Share of the utterances that are right; units as in `bootstrap.measured`.

    Raises:
        ValueError: there are none
    """
    if not correct:
        raise ValueError("an accuracy needs at least one utterance: got none")
    return share([(int(right), 1) for right in correct], units)


def share(parts: Sequence[tuple[int, int]], units: Units | None = None) -> Measure:
    """Part and whole of each utterance, summed before they are divided; 0 of nothing is 0."""
    [measure] = measured(np.array(parts, dtype=np.int64), share_of, units=units)
    return measure


def share_of(totals: NDArray[Any]) -> Floats:
    """Part over whole, shape (…, 2) → (…)."""
    return np.asarray(totals[..., 0] / np.maximum(totals[..., 1], 1))
