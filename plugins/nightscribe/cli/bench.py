"""Measure how fast this machine transcribes, and how long an archive would take.

Takes up to a minute of each of some recordings, drawn from the archives, and transcribes these
over and over, with the settings of a nightly run. What is begun when the time is over is
finished. Nothing is written.

examples:
  nightscribe bench --archives samples/archive --model demo
  nightscribe bench --archives /data/radio --model large-v3 --task both --minutes 3 --hours 5000
"""

from __future__ import annotations

import argparse
import io
import json
import logging
import random
import time
import wave
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from itertools import count, cycle, islice
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

from nightscribe.cli.lake_arguments import add_archives
from nightscribe.errors import ConfigurationError
from nightscribe.progress import LOG_EVERY_S, duration
from nightscribe.settings import GIB, MIB, Settings
from nightscribe.whisper.devices import PRECISIONS

if TYPE_CHECKING:
    from nightscribe.archives.entries import File
    from nightscribe.whisper.contract import Engine, Job, LoadedModel

log = logging.getLogger(__name__)

_EXCERPT_S = 60.0
_WARM_UP_S = 5.0
_RECORDINGS = 128  # at most, and so many
_HELD_BYTES = 256 * MIB
_LISTED = 10_000  # files of an archive among which some are drawn
_FROM_CONTAINER = 32  # members: a compressed tar is read from its front
_LARGEST = GIB  # of a file: one in an object store is fetched as a whole


@dataclass(frozen=True)
class Speed:
    """What a run came to."""

    recordings: int  # begun, the same ones again counted again
    failed: int  # of them, in any task
    audio_s: float  # of the others, whatever the number of tasks
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
    parser.add_argument("--precision", choices=PRECISIONS, help="(NIGHTSCRIBE_PRECISION)")
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
    if arguments.minutes <= 0 or arguments.hours <= 0:
        arguments.parser.error("--minutes and --hours: must be above 0")
    given = {name: vars(arguments)[name] for name in ("model", "device", "precision", "task")}
    settings = Settings(**{name: value for name, value in given.items() if value is not None})

    from nightscribe.stages.order import Order
    from nightscribe.whisper.contract import Job
    from nightscribe.whisper.engines import engine_named, model_loader

    archives = tuple(arguments.archives or settings.archives)
    order = Order(archives, settings.model, settings.task, settings.language)
    wanted = order.wanted(settings)
    if arguments.json:
        _make(arguments.json)
    contents = list(_contents(wanted.archives, settings))
    if not contents:
        raise ConfigurationError(
            f"no audio that could be used was found in {', '.join(archives)} (of files up to "
            f"{_LARGEST / GIB:g} GiB)"
        )
    jobs = tuple(Job(task, wanted.options) for task in wanted.tasks)
    model = model_loader(settings)(settings.model)
    engine = engine_named(settings.engine, slots=settings.slots)
    print(
        f"model {model.name}, {model.precision} on {model.device_name}, "
        f"{' and '.join(wanted.tasks)}, up to {_EXCERPT_S:g} s each of {len(contents)} recordings",
        flush=True,
    )
    log.info("warming up")
    wavs = [_wav(io.BytesIO(content), _WARM_UP_S) for content in contents[:4]]
    openings = [wav for wav in wavs if wav is not None]
    _measure(engine, model, jobs, openings, 0.0, at_least=len(openings))
    speed = _measure(engine, model, jobs, contents, arguments.minutes * 60, at_least=1)
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
            "model": model.name,
            "model_id": model.model_id,
            "precision": model.precision,
            "tasks": wanted.tasks,
            "estimate_hours": estimate_s / 3600,
            "estimate_for_hours": arguments.hours,
        }
        arguments.json.write_text(json.dumps(figures, indent=1) + "\n", encoding="utf-8")
    return 1 if speed.failed else 0


def _make(file: Path) -> None:
    """Make the file now: after the measurement would be late to hear that it cannot be."""
    try:
        file.touch()
    except OSError as error:
        raise ConfigurationError(f"--json {file}: cannot be written: {error.strerror}") from error


def _contents(archives: Sequence[str], settings: Settings) -> Iterator[bytes]:
    """Encoded excerpts of recordings that are drawn from the archives, the same ones every time."""
    from nightscribe.archives.entries import Rejection
    from nightscribe.archives.kinds import Kind
    from nightscribe.archives.listing import list_files

    files = [
        file
        for archive in archives
        for file in islice(list_files(archive), _LISTED)
        if not isinstance(file, Rejection) and file.kind is not Kind.MANIFEST
    ]
    random.Random(0).shuffle(files)
    too_large = [file for file in files if file.size_bytes > _LARGEST]
    if too_large:
        log.warning("%d files above %g GiB are left out", len(too_large), _LARGEST / GIB)
    number = held = 0
    for file in files:
        if file.size_bytes > _LARGEST:
            continue
        for opened in _opened(file, settings):
            content = _excerpt(opened)
            if content is not None:
                number, held = number + 1, held + len(content)
                yield content
            if number >= _RECORDINGS or held >= _HELD_BYTES:
                return


def _opened(file: File, settings: Settings) -> Iterator[BinaryIO]:
    """A file, or the first ones of a container; each lives until the next is asked for."""
    from nightscribe.archives.entries import Member, Rejection
    from nightscribe.archives.kinds import Kind
    from nightscribe.archives.opening import open_sources
    from nightscribe.archives.reading import read_container

    if file.kind is Kind.CONTAINER:
        members = (
            member.file
            for member in read_container(file.archive, settings.limits)
            if isinstance(member, Member) and member.kind is Kind.AUDIO
        )
        yield from islice(members, _FROM_CONTAINER)
    else:
        for _, opened in open_sources([(file.archive, file.member)], settings.limits):
            if not isinstance(opened, Rejection):
                yield opened


def _excerpt(file: BinaryIO) -> bytes | None:
    """A short recording as it is, the beginning of a long one as WAV; None for what is no audio."""
    from nightscribe.audio.containers import probe
    from nightscribe.errors import Rejected

    try:
        stated = probe(file).duration_s
        file.seek(0)
        if stated is not None and stated <= _EXCERPT_S:
            return file.read()
        return _wav(file, _EXCERPT_S)
    except Rejected:
        return None


def _wav(file: BinaryIO, seconds: float) -> bytes | None:
    """The first seconds of a recording as a WAV file; None where they cannot be decoded."""
    import numpy as np

    from nightscribe.audio.decode import blocks
    from nightscribe.audio.samples import FULL_SCALE, SAMPLE_RATE
    from nightscribe.errors import Rejected

    try:
        samples = next(blocks(file, block_s=seconds))
    except Rejected:
        return None
    written = io.BytesIO()
    with wave.open(written, "wb") as wav:
        wav.setnchannels(1)
        wav.setsampwidth(2)
        wav.setframerate(SAMPLE_RATE)
        wav.writeframes((samples * FULL_SCALE).astype(np.int16).tobytes())
    return written.getvalue()


def _measure(
    engine: Engine,
    model: LoadedModel,
    jobs: tuple[Job, ...],
    contents: Sequence[bytes],
    seconds: float,
    *,
    at_least: int,
) -> Speed:
    """Transcribe over and over; after so many seconds, and so many recordings, none is begun."""
    from nightscribe.whisper.contract import Failure, Request

    began = said = time.monotonic()
    begun = 0

    def requests() -> Iterator[Request]:
        nonlocal begun
        for number, content in zip(count(), cycle(contents)):
            if number >= at_least and time.monotonic() - began >= seconds:
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
        if now - said >= LOG_EVERY_S and seconds:
            said = now
            speed = sum(lengths.values()) / (now - began)
            log.info("%s of about %s: RTFx %.1f", duration(now - began), duration(seconds), speed)
    audio_s = sum(length for number, length in lengths.items() if number not in failed)
    return Speed(begun, len(failed), audio_s, time.monotonic() - began)
