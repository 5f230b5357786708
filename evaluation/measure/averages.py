"""Averages over the languages of a data set: one figure for a system, with its interval.

- `macro`: the mean of the languages' figures; each language counts the same
- `micro`: one figure over all recordings; each word, or letter, counts the same

Only what can be compared is averaged: words with words (`wer`, of languages with spaces), letters
with letters (`cer`, of languages without). The languages are fixed; what is drawn for the interval
are recordings, speakers or sessions within each language, all languages in each resample. A speaker
of two languages is drawn in both at once.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from evaluation.measure.bootstrap import (
    RESAMPLES,
    Floats,
    Rate,
    percentiles,
    resampled_totals,
    unit_totals,
)
from evaluation.measure.rates import error_rate
from evaluation.measure.sampling import sampling_of
from evaluation.measure.shares import share_of
from evaluation.measure.translation import bleu_metric, chrf_metric, sacrebleu_rate
from evaluation.pairs.table import Pair, tag_of

__all__ = ["AVERAGES", "Counted", "averages"]

AVERAGES = pa.schema(
    [
        pa.field("dataset", pa.string(), nullable=False),
        pa.field("model_id", pa.string(), nullable=False),
        pa.field("model", pa.string(), nullable=False),
        pa.field("task", pa.string(), nullable=False),
        pa.field("options_key", pa.string()),
        pa.field("metric", pa.string(), nullable=False),
        pa.field("average", pa.string(), nullable=False),
        pa.field("value", pa.float64(), nullable=False),
        pa.field("ci_low", pa.float64()),
        pa.field("ci_high", pa.float64()),
        pa.field("languages", pa.int64(), nullable=False),
        pa.field("utterances", pa.int64(), nullable=False),
        pa.field("of_references", pa.int64(), nullable=False),
        pa.field("sampling_unit", pa.string(), nullable=False),
        pa.field("sampling_units", pa.int64(), nullable=False),
    ]
)
"""Two rows per metric, `macro` and `micro`. `options_key` is null if the languages have several: a
language that is given to the model is an option."""


@dataclass(frozen=True)
class Counted:
    """What one metric counts in the pairs of a group.

    Attributes:
        pairs, counts: in the same order; shape (pairs, columns)
        of_references: references of the group, with or without a pair
    """

    metric: str
    pairs: Sequence[Pair]
    counts: NDArray[np.int64]
    of_references: int


def averages(counted: Sequence[Counted]) -> pa.Table:
    """Columns as in `AVERAGES`; only for data sets with at least two languages."""
    rates: Mapping[str, Rate] = {
        "wer": error_rate,
        "cer": error_rate,
        "lid_accuracy": share_of,
        "bleu": sacrebleu_rate(bleu_metric()),
        "chrf": sacrebleu_rate(chrf_metric()),
    }
    rows: list[dict[str, Any]] = []
    for languages in _systems(counted):
        if len(languages) > 1:
            rows += _averaged(languages, rates[languages[0].metric])
    return pa.Table.from_pylist(rows, schema=AVERAGES)


def _systems(counted: Sequence[Counted]) -> Iterator[list[Counted]]:
    """The languages of each metric of a model on a data set, each once."""
    found: dict[tuple[str, ...], list[Counted]] = defaultdict(list)
    for one in counted:
        pair = one.pairs[0]
        found[pair["dataset"], pair["model_id"], pair["task"], one.metric].append(one)
    for _, languages in sorted(found.items()):
        if max(Counter(tag_of(one.pairs[0]) for one in languages).values()) == 1:
            yield languages
            continue
        by_options: dict[str, list[Counted]] = defaultdict(list)
        for one in languages:
            by_options[one.pairs[0]["options_key"]].append(one)
        yield from (same for _, same in sorted(by_options.items()))


def _averaged(languages: Sequence[Counted], rate: Rate) -> Iterator[dict[str, Any]]:
    pair = languages[0].pairs[0]
    options = {one.pairs[0]["options_key"] for one in languages}
    sampling = sampling_of([pair for one in languages for pair in one.pairs])
    shared = {
        **{name: pair[name] for name in ("dataset", "model_id", "model", "task")},
        "options_key": options.pop() if len(options) == 1 else None,
        "metric": languages[0].metric,
        "languages": len(languages),
        "utterances": sum(len(one.pairs) for one in languages),
        "of_references": sum(one.of_references for one in languages),
        **sampling.columns,
    }
    totals = np.stack([one.counts.sum(axis=0) for one in languages])
    units = np.arange(shared["utterances"]) if sampling.units is None else sampling.units
    drawn = _resampled(languages, units)
    for name, average in (("macro", _macro), ("micro", _micro)):
        ends = (None, None) if drawn is None else percentiles(average(drawn, rate))
        value = float(average(totals, rate))
        yield {**shared, "average": name, "value": value, "ci_low": ends[0], "ci_high": ends[1]}


def _macro(totals: NDArray[Any], rate: Rate) -> Floats:
    """Shape (…, languages, columns) → (…)."""
    return np.asarray(rate(totals).mean(axis=-1))


def _micro(totals: NDArray[Any], rate: Rate) -> Floats:
    """Shape (…, languages, columns) → (…)."""
    return rate(totals.sum(axis=-2))


def _resampled(languages: Sequence[Counted], units: NDArray[np.int64]) -> Floats | None:
    """Counts summed per language over drawn units, shape (1000, languages, columns).

    Units that occur in the same languages are drawn among each other, as many as there are of
    them. None if no two units can be exchanged.
    """
    starts = np.cumsum([0, *(len(one.pairs) for one in languages)])
    units_of = [units[start:end] for start, end in pairwise(starts)]
    spoken: dict[int, list[int]] = defaultdict(list)
    for index, found in enumerate(units_of):
        for unit in np.unique(found).tolist():
            spoken[unit].append(index)
    strata: dict[tuple[int, ...], list[int]] = defaultdict(list)
    for unit, indices in spoken.items():
        strata[tuple(indices)].append(unit)
    if max(map(len, strata.values())) < 2:
        return None
    columns = languages[0].counts.shape[1]
    drawn = np.zeros((RESAMPLES, len(languages), columns))
    number_of = np.zeros(len(spoken), dtype=np.int64)
    for stream, (together, members) in enumerate(sorted(strata.items())):
        number_of[:] = -1
        number_of[members] = np.arange(len(members))
        sums = []
        for index in together:
            numbers = number_of[units_of[index]]
            inside = numbers >= 0
            sums.append(unit_totals(languages[index].counts[inside], numbers[inside]))
        summed = np.hstack(sums)
        resampled = resampled_totals(summed, stream)
        totals = summed.sum(axis=0) if resampled is None else resampled
        drawn[:, list(together)] += totals.reshape(-1, len(together), columns)
    return drawn
