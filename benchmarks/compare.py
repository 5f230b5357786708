"""The order in which engines run, and the comparison of their runs."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import dataclass

from benchmarks.archive import Recorded
from benchmarks.engines import BASELINE, Text
from benchmarks.measure import Measured
from evaluation.measure.counts import word_counts
from evaluation.measure.normalize import normalize
from evaluation.measure.rates import error_rate


@dataclass(frozen=True)
class Spread:
    """Median and range of several runs."""

    median: float
    low: float
    high: float


@dataclass(frozen=True)
class Row:
    """One engine's row of the table."""

    engine: str
    rtfx: Spread
    ratio: Spread | None  # speed over that of the baseline in the same turn
    peak_memory: int
    peak_device_memory: int | None
    device_busy: Spread | None
    same: float | None  # share of recordings with exactly the baseline's text
    wer_to_baseline: float | None  # WER with the baseline's texts as references
    wer: float | None  # WER with the true texts as references
    tokens: int | None  # tokens of all windows


def turns(engines: Sequence[str], repeats: int) -> list[list[str]]:
    """The order of the engines in each turn. Another engine starts each turn."""
    orders = []
    for turn in range(repeats):
        first = turn * max(1, len(engines) // repeats) % len(engines)
        orders.append([*engines[first:], *engines[:first]])
    return orders


def rows(runs: Sequence[Sequence[Measured]], archive: Sequence[Recorded]) -> list[Row]:
    """One row per engine that completed every turn, the baseline first. `runs` are the turns."""
    seconds = sum(recorded.seconds for recorded in archive)
    by_engine: dict[str, list[Measured]] = {}
    for turn in runs:
        for measured in turn:
            by_engine.setdefault(measured.engine, []).append(measured)
    complete = {name: each for name, each in by_engine.items() if len(each) == len(runs)}
    baseline = complete.get(BASELINE)
    compared = []
    for name in sorted(complete, key=lambda name: name != BASELINE):
        each = complete[name]
        texts = _by_path(each[0].texts)
        same = wer_to_baseline = ratio = None
        if baseline:
            expected = _by_path(baseline[0].texts)
            pairs = zip(baseline, each, strict=True)
            ratio = spread([slow.wall_s / fast.wall_s for slow, fast in pairs])
            same = statistics.fmean(
                texts[path].text.strip() == text.text.strip() for path, text in expected.items()
            )
            wer_to_baseline = word_error_rate(
                [(text.text, texts[path].text, text.language) for path, text in expected.items()]
            )
        true = [(r.text, texts[r.path].text, r.language) for r in archive if r.text]
        devices = [m.peak_device_memory for m in each if m.peak_device_memory is not None]
        busy = [m.device_busy for m in each if m.device_busy is not None]
        counted = [text.tokens for text in each[0].texts]
        compared.append(
            Row(
                engine=name,
                rtfx=spread([seconds / measured.wall_s for measured in each]),
                ratio=ratio,
                peak_memory=max(measured.peak_memory for measured in each),
                peak_device_memory=max(devices, default=None),
                device_busy=spread(busy) if busy else None,
                same=same,
                wer_to_baseline=wer_to_baseline,
                wer=word_error_rate(true) if true else None,
                tokens=None if None in counted else sum(count or 0 for count in counted),
            )
        )
    return compared


def spread(values: Sequence[float]) -> Spread:
    """Median and range of the values."""
    return Spread(statistics.median(values), min(values), max(values))


def word_error_rate(texts: Sequence[tuple[str, str, str | None]]) -> float:
    """Word error rate over all of (reference, hypothesis, language of the reference).

    Texts are normalized as in `evaluation`. Languages without spaces are counted in characters.
    """
    pairs = [[normalize(text, language or "en") for text in two] for *two, language in texts]
    counts = word_counts([expected for expected, _ in pairs], [found for _, found in pairs])
    return float(error_rate(counts.sum(axis=0)))


def _by_path(texts: Sequence[Text]) -> dict[str, Text]:
    return {text.path: text for text in texts}
