"""All engines in turn, several times over, and what their runs say together."""

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
    """The median of several runs, and the ends of their range."""

    median: float
    low: float
    high: float


@dataclass(frozen=True)
class Row:
    """An engine in the table."""

    engine: str
    rtfx: Spread
    ratio: Spread | None  # speed over the baseline's in the same turn
    peak_memory: int
    peak_device_memory: int | None
    device_busy: Spread | None
    same: float | None  # share of recordings whose text is the baseline's, letter by letter
    wer_to_baseline: float | None
    wer: float | None  # to what was really said
    tokens: int | None  # in all windows


def turns(engines: Sequence[str], repeats: int) -> list[list[str]]:
    """The order of the engines in each turn: another one comes first every time."""
    found = []
    for turn in range(repeats):
        first = turn * max(1, len(engines) // repeats) % len(engines)
        found.append([*engines[first:], *engines[:first]])
    return found


def rows(runs: Sequence[Sequence[Measured]], archive: Sequence[Recorded]) -> list[Row]:
    """A row an engine that came through every turn, the baseline first; `runs` are the turns."""
    seconds = sum(recorded.seconds for recorded in archive)
    by_engine: dict[str, list[Measured]] = {}
    for turn in runs:
        for measured in turn:
            by_engine.setdefault(measured.engine, []).append(measured)
    complete = {name: each for name, each in by_engine.items() if len(each) == len(runs)}
    baseline = complete.get(BASELINE)
    found = []
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
        found.append(
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
    return found


def spread(values: Sequence[float]) -> Spread:
    """Median and range of some values."""
    return Spread(statistics.median(values), min(values), max(values))


def word_error_rate(texts: Sequence[tuple[str, str, str | None]]) -> float:
    """Errors per word of (expected, found, language of the expected), over all of them.

    Normalised as `evaluation` does; letters count in languages without spaces.
    """
    pairs = [[normalize(text, language or "en") for text in two] for *two, language in texts]
    counts = word_counts([expected for expected, _ in pairs], [found for _, found in pairs])
    return float(error_rate(counts.sum(axis=0)))


def _by_path(texts: Sequence[Text]) -> dict[str, Text]:
    return {text.path: text for text in texts}
