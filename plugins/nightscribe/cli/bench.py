"""Measure the speed of this machine and estimate the time for an archive.

Takes the first minute of up to 128 recordings, drawn from the archives, and transcribes these
excerpts again and again, with the settings of a nightly run. When the time is over, the excerpts
that have started are still finished. Nothing is written to a lake.

examples:
  nightscribe bench --archives samples/archive --model demo
  nightscribe bench --archives /data/radio --model large-v3 --task both --minutes 3 --hours 5000
"""

from __future__ import annotations

import argparse
import json
import logging
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nightscribe.cli.arguments import add_archives, add_model, add_task
from nightscribe.errors import ConfigurationError
from nightscribe.progress import duration
from nightscribe.settings import GIB, MIB, Settings
from nightscribe.whisper.devices import PRECISIONS
from nightscribe.whole_file import whole_file

if TYPE_CHECKING:
    from nightscribe.cli.speed import Speed
    from nightscribe.stages.pending import Wanted
    from nightscribe.whisper.contract import LoadedModel

log = logging.getLogger(__name__)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add what to transcribe, with which model, and for how long."""
    add_archives(parser)
    add_model(parser)
    parser.add_argument(
        "--device", help="auto, cpu, cuda, cuda:1 … (NIGHTSCRIBE_DEVICE; default: auto)"
    )
    parser.add_argument(
        "--precision",
        choices=PRECISIONS,
        help="precision of matrix products (NIGHTSCRIBE_PRECISION; default: auto)",
    )
    add_task(parser)
    parser.add_argument(
        "--minutes",
        type=float,
        default=1,
        metavar="M",
        help="minutes to measure for (default: %(default)s)",
    )
    parser.add_argument(
        "--hours",
        type=float,
        default=10_000,
        metavar="H",
        help="hours of audio to estimate the time for (default: %(default)s)",
    )
    parser.add_argument(
        "--json", type=Path, metavar="FILE", help="also write the figures to this file"
    )


def execute(arguments: argparse.Namespace) -> int:
    """Print speed, memory and the estimate; returns 1 if an excerpt could not be transcribed."""
    if arguments.minutes <= 0 or arguments.hours <= 0:
        arguments.parser.error("--minutes and --hours: must be above 0")
    given = {name: vars(arguments)[name] for name in ("model", "device", "precision", "task")}
    settings = Settings(**{name: value for name, value in given.items() if value is not None})

    from nightscribe.cli.excerpts import EXCERPT_S, MAX_FILE_BYTES, draw_excerpts
    from nightscribe.cli.speed import measure_speed, warm_up
    from nightscribe.stages.order import Order
    from nightscribe.whisper.contract import Job
    from nightscribe.whisper.engines import engine_named, model_loader

    archives = tuple(arguments.archives or settings.archives)
    wanted = Order(archives, settings.model, settings.task, settings.language).wanted(settings)
    if arguments.json:
        _require_writable(arguments.json)
    excerpts = list(draw_excerpts(wanted.archives, settings.limits))
    if not excerpts:
        raise ConfigurationError(
            f"no audio that could be used was found in {', '.join(archives)} (in files of at most "
            f"{MAX_FILE_BYTES / GIB:g} GiB)"
        )
    jobs = tuple(Job(task, wanted.options) for task in wanted.tasks)
    model = model_loader(settings)(settings.model)
    engine = engine_named(settings.engine, slots=settings.slots)
    print(
        f"model {model.name}, {model.precision} on {model.device_name}, "
        f"{' and '.join(wanted.tasks)}, up to {EXCERPT_S:g} s each of {len(excerpts)} recordings",
        flush=True,
    )
    log.info("warming up")
    warm_up(engine, model, jobs, excerpts)
    speed = measure_speed(engine, model, jobs, excerpts, arguments.minutes * 60)
    if not speed.audio_s:
        raise ConfigurationError(f"no recording of {', '.join(archives)} could be transcribed")
    figures = _figures(speed, model, wanted, arguments.hours)
    _print(figures)
    if arguments.json:
        with whole_file(arguments.json) as path:
            path.write_text(json.dumps(figures, indent=1) + "\n", encoding="utf-8")
    return 1 if speed.failed else 0


def _require_writable(file: Path) -> None:
    """Create the file now, so that a wrong path is reported before the measurement."""
    try:
        file.touch()
    except OSError as error:
        raise ConfigurationError(f"--json {file}: cannot be written: {error.strerror}") from error


def _figures(speed: Speed, model: LoadedModel, wanted: Wanted, hours: float) -> dict[str, Any]:
    """What `--json` writes."""
    return {
        **asdict(speed),
        "rtfx": speed.rtfx,
        "peak_memory_bytes": model.peak_memory_bytes(),
        "device": model.device_name,
        "model": model.name,
        "model_id": model.model_id,
        "precision": model.precision,
        "tasks": wanted.tasks,
        "estimate_hours": hours / speed.rtfx,
        "estimate_for_hours": hours,
    }


def _print(figures: Mapping[str, Any]) -> None:
    print(
        f"{duration(figures['audio_s'])} of audio in {duration(figures['wall_s'])}: "
        f"RTFx {figures['rtfx']:.1f}, {figures['failed']} failed, "
        f"peak memory {figures['peak_memory_bytes'] / MIB:.0f} MiB\n"
        f"{figures['estimate_for_hours']:g} hours of audio like this: "
        f"{duration(figures['estimate_hours'] * 3600)} on this device"
    )
