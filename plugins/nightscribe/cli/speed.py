"""Measure how fast an engine transcribes some recordings."""

from __future__ import annotations

import io
import logging
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import count, cycle

from nightscribe.cli.excerpts import first_seconds
from nightscribe.progress import LOG_EVERY_S, duration
from nightscribe.whisper.contract import Engine, Failure, Job, LoadedModel, Request

__all__ = ["Speed", "measure_speed", "warm_up"]

log = logging.getLogger(__name__)

_WARM_UP_RECORDINGS = 4
_WARM_UP_S = 5.0  # of each


@dataclass(frozen=True)
class Speed:
    """Counts and times of a measurement."""

    recordings: int  # started; a recording that is transcribed twice counts twice
    failed: int  # of these, in at least one task
    audio_s: float  # length of the others, s, whatever the number of tasks
    wall_s: float

    @property
    def rtfx(self) -> float:
        """Seconds of audio per second of wall time."""
        return self.audio_s / self.wall_s


def warm_up(
    engine: Engine, model: LoadedModel, jobs: tuple[Job, ...], contents: Sequence[bytes]
) -> None:
    """Transcribe the first 5 s of a few recordings, so that no first-call cost is measured."""
    excerpts = (
        first_seconds(io.BytesIO(content), _WARM_UP_S) for content in contents[:_WARM_UP_RECORDINGS]
    )
    requests = (
        Request(str(number), io.BytesIO(excerpt), jobs)
        for number, excerpt in enumerate(excerpts)
        if excerpt is not None
    )
    for _ in engine(requests, model):
        pass


def measure_speed(
    engine: Engine,
    model: LoadedModel,
    jobs: tuple[Job, ...],
    contents: Sequence[bytes],
    seconds: float,
) -> Speed:
    """Transcribe encoded recordings again and again; after `seconds`, start no other one.

    At least one recording is transcribed. Failures are logged as warnings.
    """
    started = logged = time.monotonic()
    begun = 0

    def requests() -> Iterator[Request]:
        nonlocal begun
        for number, content in zip(count(), cycle(contents)):
            if number and time.monotonic() - started >= seconds:
                return
            begun += 1
            yield Request(str(number), io.BytesIO(content), jobs)

    lengths: dict[str, float] = {}
    failed: set[str] = set()
    for result in engine(requests(), model):
        if isinstance(result, Failure):
            failed.add(result.recording_id)
            log.warning("a recording failed: %s: %s", result.reason.value, result.detail)
        else:
            lengths[result.recording_id] = result.duration_s
        now = time.monotonic()
        if now - logged >= LOG_EVERY_S:
            logged = now
            rtfx = sum(lengths.values()) / (now - started)
            log.info("%s of about %s: RTFx %.1f", duration(now - started), duration(seconds), rtfx)
    audio_s = sum(length for number, length in lengths.items() if number not in failed)
    return Speed(begun, len(failed), audio_s, time.monotonic() - started)
