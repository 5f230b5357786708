"""Error rates of a corpus, computed from counts of words or characters.

If *all* references are empty, a rate has no denominator. jiwer then gives the number of
insertions, as if there were one reference word, and so do these functions. Check
`reference_units` before quoting a rate.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from evaluation.measure.bootstrap import Floats, Measure, Units, measured
from evaluation.measure.counts import Counts, errors, reference_units

__all__ = [
    "ErrorMeasures",
    "deletion_bursts",
    "error_measures",
    "error_rate",
    "information_lost",
    "insertion_bursts",
    "match_error_rate",
]


@dataclass(frozen=True)
class ErrorMeasures:
    """What the alignments of a corpus give, in words or in characters.

    Attributes:
        error_rate: (S + D + I) / (H + S + D); 1 is as many errors as reference units
        match_error_rate: (S + D + I) / (H + S + D + I), never above 1
        information_lost: 1 − H / reference units · H / hypothesis units
        insertion_bursts: share of the hypotheses' units in bursts of insertions, as in
            hallucinations over silence
        deletion_bursts: share of the references' units in bursts of deletions, as where a
            segment is missing
        utterances: pairs that were aligned
        reference_units: H + S + D
        substitutions, deletions, insertions: S, D, I

    Match error rate and information lost are those of Morris, Maier and Green, "From WER and RIL
    to MER and WIL" (Interspeech 2004).
    """

    error_rate: Measure
    match_error_rate: Measure
    information_lost: Measure
    insertion_bursts: Measure
    deletion_bursts: Measure
    utterances: int
    reference_units: int
    substitutions: int
    deletions: int
    insertions: int


def error_measures(counts: Counts, units: Units | None = None) -> ErrorMeasures:
    """Rates of a corpus with their intervals, from `word_counts` or `character_counts`.

    Args:
        units: what is drawn for the intervals; None: each utterance
    """
    rates = (error_rate, match_error_rate, information_lost, insertion_bursts, deletion_bursts)
    error, match, lost, inserted, deleted = measured(counts, *rates, units=units)
    total = counts.sum(axis=0)
    return ErrorMeasures(
        error_rate=error,
        match_error_rate=match,
        information_lost=lost,
        insertion_bursts=inserted,
        deletion_bursts=deleted,
        utterances=len(counts),
        reference_units=int(reference_units(total)),
        substitutions=int(total[1]),
        deletions=int(total[2]),
        insertions=int(total[3]),
    )


def error_rate(totals: NDArray[Any]) -> Floats:
    """(S + D + I) / (H + S + D) of summed counts, shape (…, 6) → (…)."""
    return np.asarray(errors(totals) / np.maximum(reference_units(totals), 1))


def match_error_rate(totals: NDArray[Any]) -> Floats:
    """(S + D + I) / (H + S + D + I) of summed counts, shape (…, 6) → (…)."""
    everything = totals[..., :4].sum(axis=-1)
    return np.asarray((everything - totals[..., 0]) / np.maximum(everything, 1))


def information_lost(totals: NDArray[Any]) -> Floats:
    """1 − H² / (reference units · hypothesis units), shape (…, 6) → (…).

    It is 0 if both texts are empty, and 1 if one of them is.
    """
    hits, substitutions, deletions, insertions = np.moveaxis(totals[..., :4], -1, 0)
    reference = hits + substitutions + deletions
    hypothesis = hits + substitutions + insertions
    kept = hits / np.maximum(reference, 1) * (hits / np.maximum(hypothesis, 1))
    return np.asarray(1 - np.where((reference == 0) & (hypothesis == 0), 1.0, kept))


def insertion_bursts(totals: NDArray[Any]) -> Floats:
    """Share of the hypotheses' units that lie in bursts of insertions, shape (…, 6) → (…)."""
    hypothesis = totals[..., 0] + totals[..., 1] + totals[..., 3]
    return np.asarray(totals[..., 4] / np.maximum(hypothesis, 1))


def deletion_bursts(totals: NDArray[Any]) -> Floats:
    """Share of the references' units that lie in bursts of deletions, shape (…, 6) → (…)."""
    return np.asarray(totals[..., 5] / np.maximum(reference_units(totals), 1))
