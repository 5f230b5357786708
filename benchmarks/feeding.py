"""How fast audio is decoded: what a device that transcribes must be fed with, format by format."""

from __future__ import annotations

import io
import statistics
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import cycle

import numpy as np
from numpy.typing import NDArray

from benchmarks.archive import Recorded
from benchmarks.table import table
from nightscribe.audio.decode import decode
from nightscribe.audio.operations import Decoding
from nightscribe.audio.samples import SAMPLE_RATE
from nightscribe.audio.stored import Samples, decode_to
from nightscribe.audio.workers import Workers

ALL = "all of them, by worker processes"


@dataclass(frozen=True)
class Fed:
    """Decoding of one format, by one core."""

    what: str
    bytes_per_hour: float
    rtfx: float  # seconds of audio per second of one core


def by_format(
    archive: Sequence[Recorded], *, seconds: float, repeats: int, workers: int
) -> Iterator[Fed]:
    """Each format on one core, medians of `repeats`; at last all in so many worker processes.

    What is timed is a worker's work: encoded bytes in memory to 16-bit samples in a file. The
    last one is wall time times `workers`, so it holds what handing over costs, too.
    """
    from tools.demo_model.samples import FORMS, encoded

    samples = _speech(archive, round(seconds * SAMPLE_RATE))
    contents = []
    for form in FORMS:
        content = encoded(samples, form)
        contents.append(content)
        what = f"{form.codec}, {form.rate / 1000:g} kHz {form.layout}"
        spent = statistics.median(_decoding(content) for _ in range(repeats))
        yield Fed(what, len(content) / seconds * 3600, seconds / spent)
    audio_s = seconds * len(contents) * workers
    spent = statistics.median(_handing_over(contents * workers, workers) for _ in range(repeats))
    each = sum(map(len, contents)) / (seconds * len(contents)) * 3600
    yield Fed(ALL, each, audio_s / (spent * workers))


def _speech(archive: Sequence[Recorded], count: int) -> NDArray[np.float32]:
    """So many samples of the archive's recordings, one after the other."""
    parts: list[NDArray[np.float32]] = []
    left = count
    for recorded in cycle(archive):
        parts.append(decode(recorded.path).samples[:left])
        left -= len(parts[-1])
        if not left:
            return np.concatenate(parts)
    raise ValueError("the archive holds no recordings")


def _decoding(content: bytes) -> float:
    """Processor time, in seconds, of decoding one file here."""
    with tempfile.TemporaryFile() as samples:
        began = time.process_time()
        decode_to(samples, io.BytesIO(content))
        return time.process_time() - began


def _handing_over(contents: Sequence[bytes], workers: int) -> float:
    """Wall time, in seconds, of decoding all by workers that run already."""
    with Workers(workers, Decoding()) as decoders:
        for content in contents[: 2 * workers]:  # starts them
            decoders.submit(io.BytesIO(content))
        _finish(decoders)
        began = time.perf_counter()
        for content in contents:
            decoders.submit(io.BytesIO(content))
        _finish(decoders)
        return time.perf_counter() - began


def _finish(decoders: Workers[Samples]) -> None:
    while decoders.pending:
        for _, outcome in decoders.finished(wait_for_one=True):
            if not isinstance(outcome, Samples):
                raise outcome


def shown(found: Sequence[Fed], target: float) -> str:
    """The formats as a table, with the cores that keep up with a device at `target` RTFx."""
    rows = [
        [
            one.what,
            f"{one.bytes_per_hour / 1e6:.0f} MB",
            f"{one.rtfx:.0f}",
            f"{one.rtfx / 3600:.2f} h",
            f"{target / one.rtfx:.1f}",
        ]
        for one in found
    ]
    head = ["format", "an hour", "RTFx a core", "a second of a core", f"cores for {target:g}"]
    return table(head, rows)
