"""Two sets of transcripts of the same recordings: what differs, by how much, and where.

Two models, two sets of options, tonight and last night: tables of pairs (see `scoring`), of which
those recordings are compared that are in both, with the reference that the candidate has.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa

from evaluation.metrics import (
    bleu_metric,
    chrf_metric,
    error_rate,
    errors,
    sacrebleu_counts,
    sacrebleu_rate,
)
from evaluation.normalize import is_unspaced, language_code
from evaluation.paired import Difference, difference
from evaluation.scoring import Pair, checked, transcript_counts, unit_counts

COMPARISON = pa.schema(
    [
        pa.field("dataset", pa.string(), nullable=False),
        pa.field("language", pa.string(), nullable=False),
        pa.field("task", pa.string(), nullable=False),
        pa.field("metric", pa.string(), nullable=False),
        pa.field("headline", pa.bool_(), nullable=False),
        pa.field("utterances", pa.int64(), nullable=False),
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
"""One row per metric. Rates are fractions, BLEU and chrF++ are 0 to 100; `difference` is candidate
less baseline, with its 95 % interval and its standard error. `better` says whether the candidate
is, and is null where there is no difference; whether that is more than chance, the p-value says."""

_GROUP = ("dataset", "language", "task")
LOWER_IS_BETTER = frozenset({"wer", "cer"})


@dataclass(frozen=True)
class Changed:
    """A recording that came out differently.

    Attributes:
        baseline, candidate: its pairs
        change: how much worse the candidate is: errors more, or chrF++ less; negative if better
    """

    baseline: Pair
    candidate: Pair
    change: float


def compare(baseline: pa.Table, candidate: pa.Table) -> pa.Table:
    """Compare two systems per data set, language and task.

    Args:
        baseline, candidate: columns as in `scoring.PAIRS`, of one model and one set of options
            each: a recording once per data set and task

    Returns:
        columns as in `COMPARISON`, no rows where no recording is in both

    Raises:
        ValueError: a table cannot be used, or has a recording twice
    """
    rows: list[dict[str, Any]] = []
    for key, before, after in _shared(baseline, candidate):
        group = dict(zip(_GROUP, key, strict=True))
        measured = _transcripts if group["task"] == "transcribe" else _translations
        for metric, headline, utterances, found in measured(before, after):
            better = found.value < 0 if metric in LOWER_IS_BETTER else found.value > 0
            rows.append(
                {
                    **group,
                    "metric": metric,
                    "headline": headline,
                    "utterances": utterances,
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


def most_changed(baseline: pa.Table, candidate: pa.Table, count: int) -> list[list[Changed]]:
    """Per group the recordings whose quality changed most, the largest changes first."""
    found = []
    for key, before, after in _shared(baseline, candidate):
        change = _worse_by(before, after, key[2])
        order = [row for row in np.argsort(-np.abs(change), kind="stable") if abs(change[row]) > 0]
        found.append(
            [Changed(before[row], after[row], float(change[row])) for row in order[:count]]
        )
    return found


def most_worsened(
    baseline: pa.Table, candidate: pa.Table, group: tuple[str, str, str], metric: str, count: int
) -> list[Changed]:
    """The recordings of a group (data set, language, task) that got worse by a metric, worst first.

    By `lid_accuracy`, those whose language was right and is wrong now.
    """
    worse: list[Changed] = []
    for key, before, after in _shared(baseline, candidate):
        if key != group:
            continue
        if metric == "lid_accuracy":
            change = np.array(
                [_right(one) - _right(other) for one, other in zip(before, after, strict=True)]
            )
        else:
            change = _worse_by(before, after, key[2])
        order = [row for row in np.argsort(-change, kind="stable") if change[row] > 0]
        worse += [Changed(before[row], after[row], float(change[row])) for row in order[:count]]
    return worse


def _worse_by(before: Sequence[Pair], after: Sequence[Pair], task: str) -> Any:
    """Per recording: errors more, or chrF++ less."""
    if task == "transcribe":
        return _errors(after) - _errors(before)
    return _chrf(before) - _chrf(after)


def _shared(
    baseline: pa.Table, candidate: pa.Table
) -> Iterator[tuple[tuple[str, ...], list[Pair], list[Pair]]]:
    """Groups with the pairs of the recordings that both have, in the same order."""
    before, after = _grouped(baseline, "baseline"), _grouped(candidate, "candidate")
    for key in sorted(before.keys() & after.keys()):
        recordings = sorted(before[key].keys() & after[key].keys())
        if recordings:
            # One truth for both: a reference may have been corrected in between.
            reference = {name: after[key][name]["reference"] for name in recordings}
            yield (
                key,
                [{**before[key][name], "reference": reference[name]} for name in recordings],
                [after[key][name] for name in recordings],
            )


def _grouped(pairs: pa.Table, what: str) -> Mapping[tuple[str, ...], dict[str, Pair]]:
    groups: dict[tuple[str, ...], dict[str, Pair]] = defaultdict(dict)
    for pair in checked(pairs):
        group = groups[tuple(pair[name] for name in _GROUP)]
        if pair["recording_id"] in group:
            raise ValueError(
                f"the {what} has recording {pair['recording_id']} of {pair['dataset']} twice for "
                f"{pair['task']}: compare one model and one set of options at a time"
            )
        group[pair["recording_id"]] = pair
    return groups


def _transcripts(
    before: Sequence[Pair], after: Sequence[Pair]
) -> Iterator[tuple[str, bool, int, Difference]]:
    counts = [transcript_counts(pairs) for pairs in (before, after)]
    unspaced = is_unspaced(after[0]["language"])
    # Of references in which nothing is said there is no rate to quote.
    quoted = bool(counts[0][0][:, :3].any())
    for place, metric in enumerate(("wer", "cer")):
        found = difference(counts[0][place], counts[1][place], error_rate)
        headline = quoted and metric == ("cer" if unspaced else "wer")
        yield metric, headline, len(after), found
    both = [
        (_right(one), _right(other))
        for one, other in zip(before, after, strict=True)
        if one["detected_language"] is not None and other["detected_language"] is not None
    ]
    if both:
        right = np.array(both, dtype=np.int64)
        counted = np.stack([right, np.ones_like(right)], axis=-1)  # right ones, and all
        found = difference(counted[:, 0], counted[:, 1], lambda sums: sums[..., 0] / sums[..., 1])
        yield "lid_accuracy", False, len(both), found


def _right(pair: Pair) -> bool:
    if pair["detected_language"] is None:
        return True  # it was told the language
    return language_code(pair["detected_language"]) == language_code(pair["language"])


def _translations(
    before: Sequence[Pair], after: Sequence[Pair]
) -> Iterator[tuple[str, bool, int, Difference]]:
    references = [pair["reference"] for pair in after]
    for metric, scorer in (("bleu", bleu_metric()), ("chrf", chrf_metric())):
        counts = [
            sacrebleu_counts(scorer, references, [pair["hypothesis"] for pair in pairs])
            for pairs in (before, after)
        ]
        found = difference(counts[0], counts[1], sacrebleu_rate(scorer))
        yield metric, metric == "bleu", len(after), found


def _errors(pairs: Sequence[Pair]) -> Any:
    return errors(unit_counts(pairs))


def _chrf(pairs: Sequence[Pair]) -> Any:
    metric = chrf_metric()
    counts = sacrebleu_counts(
        metric, [pair["reference"] for pair in pairs], [pair["hypothesis"] for pair in pairs]
    )
    return sacrebleu_rate(metric)(counts)
