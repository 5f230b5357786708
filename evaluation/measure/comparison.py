"""Two sets of transcripts of the same recordings: which metric differs, and by how much.

The sets come from two models, two sets of options, or two nights. The recordings that both have
are compared, with the candidate's reference.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import pyarrow as pa

from evaluation.measure.counts import reference_units
from evaluation.measure.detection import is_identified
from evaluation.measure.hallucinations import (
    is_without_speech,
    per_hour_of,
    word_counts_and_times,
    words_of,
)
from evaluation.measure.metrics import ERROR_RATES, METRICS, headline_error_rate
from evaluation.measure.paired import Difference, difference
from evaluation.measure.rates import error_rate
from evaluation.measure.sampling import Sampling, sampling_of
from evaluation.measure.shares import share_of
from evaluation.measure.transcripts import transcript_counts
from evaluation.measure.translation import (
    bleu_metric,
    chrf_metric,
    sacrebleu_counts,
    sacrebleu_rate,
)
from evaluation.pairs.matching import matched
from evaluation.pairs.table import Pair, group_columns

__all__ = ["COMPARISON", "compare"]

_Compared = tuple[str, bool, int, Sampling, Difference]
"""Metric, whether it is the headline, utterances, units, difference."""

COMPARISON = pa.schema(
    [
        pa.field("dataset", pa.string(), nullable=False),
        pa.field("language", pa.string(), nullable=False),
        pa.field("variety", pa.string()),
        pa.field("task", pa.string(), nullable=False),
        pa.field("metric", pa.string(), nullable=False),
        pa.field("headline", pa.bool_(), nullable=False),
        pa.field("utterances", pa.int64(), nullable=False),
        pa.field("sampling_unit", pa.string(), nullable=False),
        pa.field("sampling_units", pa.int64(), nullable=False),
        pa.field("baseline", pa.float64(), nullable=False),
        pa.field("candidate", pa.float64(), nullable=False),
        pa.field("difference", pa.float64(), nullable=False),
        pa.field("ci_low", pa.float64()),
        pa.field("ci_high", pa.float64()),
        pa.field("standard_error", pa.float64()),
        pa.field("p_value", pa.float64()),
        pa.field("better", pa.bool_()),
    ]
)
"""One row per metric. Rates are fractions, BLEU and chrF++ are 0 to 100, and invented words are per
hour. `difference` is candidate less baseline, with its 95 % interval and its standard error.
`better` says whether the candidate is better, and is null if there is no difference. The p-value
says whether that may be chance. Both come from drawing `sampling_units` recordings, speakers or
sessions, as `sampling_unit` says."""


def compare(baseline: pa.Table, candidate: pa.Table) -> pa.Table:
    """Compare two systems per data set, language and task.

    Args:
        baseline, candidate: columns as in `PAIRS`, of one model and one set of options each: a
            recording once per data set and task

    Returns:
        columns as in `COMPARISON`; no rows if no recording is in both

    Raises:
        ValueError: a table cannot be used, or has a recording twice
    """
    rows: list[dict[str, Any]] = []
    for group, before, after in matched(baseline, candidate):
        for metric, is_headline, utterances, sampling, found in _compared(before, after):
            lower_is_better = METRICS[metric].lower_is_better
            better = found.value < 0 if lower_is_better else found.value > 0
            rows.append(
                {
                    **group_columns(group),
                    "metric": metric,
                    "headline": is_headline,
                    "utterances": utterances,
                    **sampling.columns,
                    "baseline": found.baseline,
                    "candidate": found.candidate,
                    "difference": found.value,
                    "ci_low": found.ci_low,
                    "ci_high": found.ci_high,
                    "standard_error": found.standard_error,
                    "p_value": found.p_value,
                    "better": better if found.value else None,
                }
            )
    return pa.Table.from_pylist(rows, schema=COMPARISON)


def _compared(before: Sequence[Pair], after: Sequence[Pair]) -> Iterator[_Compared]:
    if is_without_speech(after[0]["language"]):
        return _without_speech(before, after)
    measure = _transcripts if after[0]["task"] == "transcribe" else _translations
    return measure(before, after)


def _without_speech(before: Sequence[Pair], after: Sequence[Pair]) -> Iterator[_Compared]:
    sampling = sampling_of(after)
    ones = np.ones(len(after), np.int64)
    with_text = [np.stack([words_of(pairs) > 0, ones], axis=1) for pairs in (before, after)]
    found = difference(with_text[0], with_text[1], share_of, sampling.units)
    yield "hallucination_rate", True, len(after), sampling, found
    # A baseline has no lengths; they are those of the same recordings.
    now = [pair for pair in after if pair.get("duration_s")]
    if now:
        then = [one for one, pair in zip(before, after, strict=True) if pair.get("duration_s")]
        counts = [word_counts_and_times(pairs, now) for pairs in (then, now)]
        sampling = sampling_of(now)
        found = difference(counts[0], counts[1], per_hour_of, sampling.units)
        yield "hallucinated_words_per_hour", False, len(now), sampling, found


def _transcripts(before: Sequence[Pair], after: Sequence[Pair]) -> Iterator[_Compared]:
    before_counts, after_counts = (transcript_counts(pairs) for pairs in (before, after))
    # If nothing is said in any reference, there is no rate to quote.
    has_units = bool(reference_units(before_counts[0]).any())
    headline = headline_error_rate(after[0]["language"])
    sampling = sampling_of(after)
    for metric, counts, other in zip(ERROR_RATES, before_counts, after_counts, strict=True):
        found = difference(counts, other, error_rate, sampling.units)
        yield metric, has_units and metric == headline, len(after), sampling, found
    detected = [
        (one, other)
        for one, other in zip(before, after, strict=True)
        if one["detected_language"] is not None and other["detected_language"] is not None
    ]
    if detected:
        right = np.array([[is_identified(pair) for pair in both] for both in detected], np.int64)
        sampling = sampling_of([pair for _, pair in detected])
        counts = np.stack([right, np.ones_like(right)], axis=-1)  # right ones, and all
        found = difference(counts[:, 0], counts[:, 1], share_of, sampling.units)
        yield "lid_accuracy", False, len(detected), sampling, found


def _translations(before: Sequence[Pair], after: Sequence[Pair]) -> Iterator[_Compared]:
    references = [pair["reference"] for pair in after]
    sampling = sampling_of(after)
    for metric, scorer in (("bleu", bleu_metric()), ("chrf", chrf_metric())):
        before_counts, after_counts = (
            sacrebleu_counts(scorer, references, [pair["hypothesis"] for pair in pairs])
            for pairs in (before, after)
        )
        found = difference(before_counts, after_counts, sacrebleu_rate(scorer), sampling.units)
        yield metric, metric == "bleu", len(after), sampling, found
