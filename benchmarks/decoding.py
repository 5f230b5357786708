"""The speed of audio decoding by format: how many cores keep up with a device that transcribes."""

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
from nightscribe.audio.decode import decode
from nightscribe.audio.operations import Decoding
from nightscribe.audio.samples import SAMPLE_RATE
from nightscribe.audio.stored import Samples, decode_to
from nightscribe.audio.workers import Workers
from nightscribe.text_tables import markdown_table

ALL = "all of them, by worker processes"
"""Name of the row in which worker processes decode all formats."""


@dataclass(frozen=True)
class DecodingSpeed:
    """Speed at which one core decodes a format."""

    what: str  # format
    bytes_per_hour: float
    rtfx: float  # seconds of audio per second of one core


def by_format(
    archive: Sequence[Recorded], *, seconds: float, repeats: int, workers: int
) -> Iterator[DecodingSpeed]:
    """Measure each format on one core, then all formats in worker processes.

    Times the work of a worker: from encoded bytes in memory to 16-bit samples in a file. Times are
    medians of `repeats` runs. The time of the worker processes is wall time × `workers`, so it
    includes the hand-over between processes.
    """
    from tools.demo_model.clips import encoded
    from tools.demo_model.samples import FORMS

    samples = _speech(archive, round(seconds * SAMPLE_RATE))
    contents = []
    for form in FORMS:
        content = encoded(samples, form)
        contents.append(content)
        what = f"{form.codec}, {form.rate / 1000:g} kHz {form.layout}"
        cpu_s = statistics.median(_decode_s(content) for _ in range(repeats))
        yield DecodingSpeed(what, len(content) / seconds * 3600, seconds / cpu_s)
    audio_s = seconds * len(contents) * workers
    wall_s = statistics.median(_workers_s(contents * workers, workers) for _ in range(repeats))
    bytes_per_hour = sum(map(len, contents)) / (seconds * len(contents)) * 3600
    yield DecodingSpeed(ALL, bytes_per_hour, audio_s / (wall_s * workers))


def _speech(archive: Sequence[Recorded], count: int) -> NDArray[np.float32]:
    """The first `count` samples of the concatenated recordings, repeated if they are too few."""
    parts: list[NDArray[np.float32]] = []
    left = count
    for recorded in cycle(archive):
        parts.append(decode(recorded.path).samples[:left])
        left -= len(parts[-1])
        if not left:
            return np.concatenate(parts)
    raise ValueError("the archive holds no recordings")


def _decode_s(content: bytes) -> float:
    """CPU time to decode one file in this process, s."""
    with tempfile.TemporaryFile() as samples:
        began = time.process_time()
        decode_to(samples, io.BytesIO(content))
        return time.process_time() - began


def _workers_s(contents: Sequence[bytes], workers: int) -> float:
    """Wall time to decode all files by worker processes that have started, s."""
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


def decoding_table(speeds: Sequence[DecodingSpeed], target: float) -> str:
    """The speeds as a table, with the number of cores that decode at `target` RTFx."""
    rows = [
        [
            speed.what,
            f"{speed.bytes_per_hour / 1e6:.0f} MB",
            f"{speed.rtfx:.0f}",
            f"{speed.rtfx / 3600:.2f} h",
            f"{target / speed.rtfx:.1f}",
        ]
        for speed in speeds
    ]
    head = ["format", "size per hour", "RTFx per core", "audio per core second"]
    return markdown_table([*head, f"cores for {target:g}"], rows)
