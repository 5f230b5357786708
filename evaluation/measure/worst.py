"""The recordings of a group that came out worst, to be listened to first.

Recordings without an error are never among them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from evaluation.measure.bootstrap import Floats
from evaluation.measure.counts import Counts, errors, reference_units
from evaluation.pairs.table import Pair

_EXACT_CHRF = 99.999  # an exact translation is not always exactly 100: the sums are of floats


@dataclass(frozen=True)
class RecordingErrors:
    """The errors of one recording.

    Attributes:
        pair: its row of the pairs
        errors, units: errors and reference length in words, or letters of unspaced
            languages; 0 for `translate`
        chrf: chrF++ of this recording alone, for `translate`
    """

    pair: Pair
    errors: int = 0
    units: int = 0
    chrf: float | None = None


def worst_transcripts(group: Sequence[Pair], counts: Counts, number: int) -> list[RecordingErrors]:
    """The transcripts with the most errors beyond what their length explains, worst first.

    The group's error rate predicts a number of errors for a reference of that length. Sorting by
    errors alone would put the longest recordings first; sorting by rate, the shortest.

    Args:
        counts: of the group, in the same order
    """
    wrong, units = errors(counts), reference_units(counts)
    expected = units * wrong.sum() / max(units.sum(), 1)
    rows = [row for row in np.argsort(expected - wrong, kind="stable") if wrong[row]]
    return [
        RecordingErrors(group[row], errors=int(wrong[row]), units=int(units[row]))
        for row in rows[:number]
    ]


def worst_translations(
    group: Sequence[Pair], each_chrf: Floats, number: int
) -> list[RecordingErrors]:
    """The translations with the lowest chrF++, worst first.

    Args:
        each_chrf: chrF++ of each pair of the group, in the same order
    """
    rows = [row for row in np.argsort(each_chrf, kind="stable") if each_chrf[row] < _EXACT_CHRF]
    return [RecordingErrors(group[row], chrf=float(each_chrf[row])) for row in rows[:number]]
