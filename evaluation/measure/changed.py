"""The recordings whose quality differs most between two systems."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from evaluation.measure.bootstrap import Floats
from evaluation.measure.counts import errors
from evaluation.measure.detection import is_identified
from evaluation.measure.hallucinations import is_without_speech, words_of
from evaluation.measure.transcripts import unit_counts
from evaluation.measure.translation import chrf_metric, sacrebleu_counts, sacrebleu_rate
from evaluation.pairs.matching import matched
from evaluation.pairs.table import Group, Pair


@dataclass(frozen=True)
class Changed:
    """A recording with a different outcome.

    Attributes:
        baseline, candidate: its pairs
        change: how much worse the candidate is: more errors, or less chrF++; negative if better
    """

    baseline: Pair
    candidate: Pair
    change: float


def most_changed(baseline: pa.Table, candidate: pa.Table, number: int) -> list[list[Changed]]:
    """Per group, the recordings whose quality changed most, the largest changes first.

    Arguments and errors as for `comparison.compare`.
    """
    found = []
    for _, before, after in matched(baseline, candidate):
        change = _worse_by(before, after)
        rows = [row for row in np.argsort(-np.abs(change), kind="stable") if abs(change[row]) > 0]
        found.append(
            [Changed(before[row], after[row], float(change[row])) for row in rows[:number]]
        )
    return found


def most_worsened(
    baseline: pa.Table, candidate: pa.Table, group: Group, metric: str, number: int
) -> list[Changed]:
    """The recordings of a group that got worse by a metric, worst first.

    By `lid_accuracy`, these are the recordings whose language was right and is now wrong.
    """
    for key, before, after in matched(baseline, candidate):
        if key == group:
            if metric == "lid_accuracy":
                change = _identified(before) - _identified(after)
            else:
                change = _worse_by(before, after)
            rows = [row for row in np.argsort(-change, kind="stable") if change[row] > 0]
            return [Changed(before[row], after[row], float(change[row])) for row in rows[:number]]
    return []


def _worse_by(before: Sequence[Pair], after: Sequence[Pair]) -> Floats:
    """How much worse each recording is now: more errors or invented words, or less chrF++."""
    if is_without_speech(after[0]["language"]):
        return np.asarray(words_of(after) - words_of(before), np.float64)
    if after[0]["task"] == "transcribe":
        return np.asarray(errors(unit_counts(after)) - errors(unit_counts(before)), np.float64)
    return _chrf(before) - _chrf(after)


def _identified(pairs: Sequence[Pair]) -> Floats:
    return np.array([is_identified(pair) for pair in pairs], dtype=np.float64)


def _chrf(pairs: Sequence[Pair]) -> Floats:
    metric = chrf_metric()
    counts = sacrebleu_counts(
        metric, [pair["reference"] for pair in pairs], [pair["hypothesis"] for pair in pairs]
    )
    return sacrebleu_rate(metric)(counts)
