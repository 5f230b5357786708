"""Measure how fast this machine transcribes, and how long an archive would take.

Holds some recordings of the archives in memory and transcribes them over and over, with the
settings of a nightly run. Nothing is written.

examples:
  nightscribe bench --archives samples/archive --model demo
  nightscribe bench --archives /data/radio --model turbo --task both --minutes 3 --hours 10000
"""

from __future__ import annotations

import argparse
import io
import json
import logging
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from itertools import count, cycle
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

from nightscribe.cli.lake_arguments import add_archives
from nightscribe.errors import ConfigurationError
from nightscribe.progress import LOG_EVERY_S, duration
from nightscribe.settings import MIB, Settings

if TYPE_CHECKING:
    from nightscribe.whisper.engine import Engine, Job, LoadedModel

log = logging.getLogger(__name__)

_HELD_BYTES = 256 * MIB  # of encoded recordings
_LARGEST = 64 * MIB  # of one of them


@dataclass(frozen=True)
class Speed:
    """What a run came to."""

    recordings: int  # transcribed, the same ones again counted again
    failed: int
    audio_s: float  # of the recordings, whatever the number of tasks
    wall_s: float

    @property
    def rtfx(self) -> float:
        """Seconds of audio per second of wall time."""
        return self.audio_s / self.wall_s


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """What to transcribe, with which model, for how long."""
    add_archives(parser)
    parser.add_argument("--model", help="official name, path or demo (NIGHTSCRIBE_MODEL)")
    parser.add_argument("--device", help="auto, cpu, cuda, cuda:1 … (NIGHTSCRIBE_DEVICE)")
    parser.add_argument(
        "--task", choices=["transcribe", "translate", "both"], help="(NIGHTSCRIBE_TASK)"
    )
    parser.add_argument("--minutes", type=float, default=1, help="to measure for (default: 1)")
    parser.add_argument(
        "--hours", type=float, default=10_000, help="of audio to estimate for (default: 10000)"
    )
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures")


def execute(arguments: argparse.Namespace) -> int:
    """Print speed, memory and the estimate; 1 if a recording could not be transcribed."""
    given = {"model": arguments.model, "device": arguments.device, "task": arguments.task}
    archives = tuple(arguments.archives or Settings().archives)
    if not archives:
        raise ConfigurationError("nothing to read: give --archives or set NIGHTSCRIBE_ARCHIVES")
    if arguments.minutes <= 0 or arguments.hours <= 0:
        arguments.parser.error("--minutes and --hours: must be above 0")
    settings = Settings(**{name: value for name, value in given.items() if value is not None})
    recordings = _recordings(archives, settings)
    if not recordings:
        raise ConfigurationError(f"no audio was found in {', '.join(archives)}")

    from nightscribe.pipeline import model_loader
    from nightscribe.whisper.engine import Job, engine_named
    from nightscribe.whisper.options import TASKS, Options

    model = model_loader(settings)(settings.model)
    engine = engine_named(settings.engine, slots=settings.slots)
    tasks = TASKS if settings.task == "both" else (settings.task,)
    jobs = tuple(Job(task, Options()) for task in tasks)
    print(
        f"model {model.checkpoint.name}, {model.precision} on {model.device_name}, "
        f"{' and '.join(tasks)}, {len(recordings)} recordings "
        f"({sum(map(len, recordings)) / 1e6:.1f} MB)",
        flush=True,
    )
    log.info("warming up")
    _measure(engine, model, jobs, recordings[:1], 0)
    speed = _measure(engine, model, jobs, recordings, arguments.minutes * 60)
    if not speed.audio_s:
        raise ConfigurationError(f"no recording of {', '.join(archives)} could be transcribed")
    memory = model.peak_memory_bytes()
    estimate_s = arguments.hours * 3600 / speed.rtfx
    print(
        f"{duration(speed.audio_s)} of audio in {duration(speed.wall_s)}: RTFx {speed.rtfx:.1f}, "
        f"{speed.failed} failed, peak memory {memory / MIB:.0f} MiB\n"
        f"{arguments.hours:g} hours of audio like this: {duration(estimate_s)} on this device"
    )
    if arguments.json:
        figures = {
            **asdict(speed),
            "rtfx": speed.rtfx,
            "peak_memory_bytes": memory,
            "device": model.device_name,
            "model": model.checkpoint.name,
            "model_id": model.checkpoint.model_id,
            "precision": model.precision,
            "tasks": tasks,
            "estimate_hours": estimate_s / 3600,
            "estimate_for_hours": arguments.hours,
        }
        arguments.json.write_text(json.dumps(figures, indent=1) + "\n", encoding="utf-8")
    return 1 if speed.failed else 0


def _recordings(archives: Sequence[str], settings: Settings) -> list[bytes]:
    """Encoded recordings, from the archives in turn, as many as may be held.

    What is no audio is left out: a nightly run rejects it before it transcribes.
    """
    from nightscribe import audio
    from nightscribe.errors import Rejected

    held: list[bytes] = []
    room = _HELD_BYTES
    streams = [_files(archive, settings) for archive in archives]
    while streams:
        for stream in list(streams):
            size, file = next(stream, (0, None))
            if file is None:
                streams.remove(stream)
            elif size > room:
                return held
            elif size <= _LARGEST:
                try:
                    audio.probe(file)
                except Rejected:
                    continue
                file.seek(0)
                held.append(file.read())
                room -= size
    return held


def _files(archive: str, settings: Settings) -> Iterator[tuple[int, BinaryIO]]:
    """Sizes and contents of an archive's audio files; each lives until the next is asked for."""
    from nightscribe.archive import (
        Kind,
        Member,
        Rejection,
        list_files,
        open_sources,
        read_container,
    )

    for file in list_files(archive):
        if isinstance(file, Rejection):
            continue
        if file.kind is Kind.CONTAINER:
            for member in read_container(file.archive, settings.limits):
                if isinstance(member, Member) and member.kind is Kind.AUDIO:
                    yield member.size_bytes, member.file
        elif file.kind is Kind.AUDIO:
            for _, opened in open_sources([(file.archive, file.member)], settings.limits):
                if not isinstance(opened, Rejection):
                    yield file.size_bytes, opened


def _measure(
    engine: Engine,
    model: LoadedModel,
    jobs: tuple[Job, ...],
    recordings: Sequence[bytes],
    seconds: float,
) -> Speed:
    """Transcribe the recordings over and over; none is begun after so many seconds.

    Each is transcribed once at least. The time that counts ends with the last one.
    """
    from nightscribe.whisper.engine import Failure, Request

    began = said = time.monotonic()

    def requests() -> Iterator[Request]:
        for number, content in zip(count(), cycle(recordings)):
            if number >= len(recordings) and time.monotonic() - began >= seconds:
                return
            yield Request(str(number), io.BytesIO(content), jobs)

    results = failed = 0
    audio_s = 0.0
    for result in engine(requests(), model):
        results += 1
        if isinstance(result, Failure):
            failed += 1
            log.warning("a recording failed: %s: %s", result.reason.value, result.detail)
        else:
            audio_s += result.duration_s / len(jobs)
        now = time.monotonic()
        if now - said >= LOG_EVERY_S:
            said = now
            gone = now - began
            log.info("%s of about %s: RTFx %.1f", duration(gone), duration(seconds), audio_s / gone)
    wall_s = time.monotonic() - began
    return Speed(results // len(jobs), failed // len(jobs), audio_s, wall_s)
