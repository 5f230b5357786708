"""Memory of an engine by the number of recordings, and by the length of one recording."""

from __future__ import annotations

import wave
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import cycle, islice
from pathlib import Path

import numpy as np

from benchmarks.archive import Recorded
from benchmarks.engines import Setup
from benchmarks.measure import measure
from nightscribe.audio.decode import decode
from nightscribe.audio.samples import FULL_SCALE, SAMPLE_RATE
from nightscribe.text_tables import markdown_table


@dataclass(frozen=True)
class MemoryUse:
    """Memory and time of one run."""

    what: str
    audio_s: float
    wall_s: float
    peak_memory: int  # bytes, see `Measured`


def by_count(
    engine: str, setup: Setup, archive: Sequence[Recorded], counts: Sequence[int]
) -> Iterator[MemoryUse]:
    """One run per count, over this number of recordings: the archive's, repeated."""
    for count in counts:
        some = list(islice(cycle(archive), count))
        measured = measure(engine, setup, [recorded.path for recorded in some], [])
        seconds = sum(recorded.seconds for recorded in some)
        yield MemoryUse(f"{count} recordings", seconds, measured.wall_s, measured.peak_memory)


def by_length(
    engine: str, setup: Setup, archive: Sequence[Recorded], hours: Sequence[float], work: Path
) -> Iterator[MemoryUse]:
    """One run per length in hours, over one recording: the archive's, concatenated."""
    for length in hours:
        file = work / f"{length:g}-hours.wav"
        write_long(file, archive, length * 3600)
        try:
            measured = measure(engine, setup, [str(file)], [])
        finally:
            file.unlink()
        what = f"1 recording of {length:g} h"
        yield MemoryUse(what, length * 3600, measured.wall_s, measured.peak_memory)


def write_long(file: Path, archive: Sequence[Recorded], seconds: float) -> None:
    """Write a WAV (16-bit, 16 kHz) of the concatenated recordings, cut after `seconds`."""
    left = round(seconds * SAMPLE_RATE)
    file.parent.mkdir(parents=True, exist_ok=True)
    with wave.open(str(file), "wb") as written:
        written.setnchannels(1)
        written.setsampwidth(2)
        written.setframerate(SAMPLE_RATE)
        for recorded in cycle(archive):
            samples = decode(recorded.path).samples[:left]
            written.writeframes((samples * FULL_SCALE).astype(np.int16).tobytes())
            left -= len(samples)
            if not left:
                return


def memory_table(runs: Sequence[MemoryUse]) -> str:
    """The runs as a table."""
    rows = [
        [
            run.what,
            f"{run.audio_s / 3600:.2f} h",
            f"{run.wall_s:.0f} s",
            f"{run.audio_s / run.wall_s:.1f}",
            f"{run.peak_memory / 2**20:.0f} MiB",
        ]
        for run in runs
    ]
    return markdown_table(["what", "audio", "time", "RTFx", "peak memory"], rows)
