"""Measure the speed of this machine and estimate the time for an archive.

Takes the first minute of up to 128 recordings, drawn from the archives, and transcribes these
excerpts again and again, with the settings of a nightly run. When the time is over, the excerpts
that have started are still finished. Nothing is written to a lake.

With --shape, random weights of an official model's shape are measured, without a download: every
window gives 100 tokens, at temperature 0. Without archives, windows of noise of 30 s are taken.
--shape all measures tiny to large-v3, each in its own process, and says which of them transcribes
--hours of audio within --within hours. On a CPU, the large ones take minutes each.

examples:
  nightscribe bench --archives samples/archive --model demo
  nightscribe bench --archives /data/radio --model large-v3 --task both --minutes 3 --hours 5000
  nightscribe bench --shape all --hours 200 --within 8
"""

from __future__ import annotations

import argparse
import json
import logging
from collections.abc import Mapping, Sequence
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
    from nightscribe.whisper.contract import Job, LoadedModel

log = logging.getLogger(__name__)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add what to transcribe, with which model, and for how long."""
    add_archives(parser)
    model = parser.add_mutually_exclusive_group()
    add_model(model)
    model.add_argument(
        "--shape",
        metavar="NAME",
        help="random weights in the shape of this official model, or all: tiny to large-v3",
    )
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
        "--within",
        type=float,
        default=8,
        metavar="H",
        help="with --shape all: hours of a night (default: %(default)s)",
    )
    parser.add_argument(
        "--json", type=Path, metavar="FILE", help="also write the figures to this file"
    )


def execute(arguments: argparse.Namespace) -> int:
    """Print speed, memory and the estimate.

    Returns 1 if an excerpt could not be transcribed or a shape could not be measured.
    """
    if min(arguments.minutes, arguments.hours, arguments.within) <= 0:
        arguments.parser.error("--minutes, --hours and --within: must be above 0")
    given = {name: vars(arguments)[name] for name in ("model", "device", "precision", "task")}
    settings = Settings(**{name: value for name, value in given.items() if value is not None})
    archives = tuple(arguments.archives or settings.archives)

    from nightscribe.cli.excerpts import noise
    from nightscribe.cli.shapes import jobs_of_random_weights, random_model
    from nightscribe.stages.order import Order
    from nightscribe.whisper.contract import Job
    from nightscribe.whisper.engines import model_loader

    order = Order(archives, settings.model, settings.task, settings.language)
    wanted = None if arguments.shape else order.wanted(settings)
    if arguments.json:
        _require_writable(arguments.json)
    if arguments.shape == "all":
        return _all_shapes(arguments, settings, archives)
    if wanted is None:
        jobs = jobs_of_random_weights(settings.task)
        excerpts = _excerpts(archives, settings) if archives else noise()
        model = random_model(arguments.shape, settings)
    else:
        jobs = tuple(Job(task, wanted.options) for task in wanted.tasks)
        excerpts = _excerpts(wanted.archives, settings)
        model = model_loader(settings)(settings.model)
    return _measure(arguments, settings, jobs, excerpts, model)


def _measure(
    arguments: argparse.Namespace,
    settings: Settings,
    jobs: tuple[Job, ...],
    excerpts: Sequence[bytes],
    model: LoadedModel,
) -> int:
    from nightscribe.cli.excerpts import EXCERPT_S
    from nightscribe.cli.speed import measure_speed, warm_up
    from nightscribe.whisper.engines import engine_named

    tasks = [job.task for job in jobs]
    engine = engine_named(settings.engine, slots=settings.slots)
    print(
        f"model {model.name}, {model.precision} on {model.device_name}, "
        f"{' and '.join(tasks)}, up to {EXCERPT_S:g} s each of {len(excerpts)} recordings",
        flush=True,
    )
    log.info("warming up")
    warm_up(engine, model, jobs, excerpts)
    speed = measure_speed(engine, model, jobs, excerpts, arguments.minutes * 60)
    if not speed.audio_s:
        archives = ", ".join(arguments.archives or settings.archives) or "noise"
        raise ConfigurationError(f"no recording of {archives} could be transcribed")
    figures = {
        **asdict(speed),
        "rtfx": speed.rtfx,
        "peak_memory_bytes": model.peak_memory_bytes(),
        "device": model.device_name,
        "model": model.name,
        "model_id": model.model_id,
        "precision": model.precision,
        "tasks": tasks,
        "estimate_hours": arguments.hours / speed.rtfx,
        "estimate_for_hours": arguments.hours,
    }
    _print(figures)
    _write(arguments.json, figures)
    return 1 if speed.failed else 0


def _all_shapes(arguments: argparse.Namespace, settings: Settings, archives: Sequence[str]) -> int:
    from nightscribe.cli.shapes import GENERAL, fitting, measured, shape_table
    from nightscribe.whisper.batched.memory import free_memory
    from nightscribe.whisper.devices import pick_device, pick_precision

    device = pick_device(settings.device)
    precision = pick_precision(settings.precision, device)
    flags = ["--minutes", str(arguments.minutes), "--task", settings.task]
    flags += ["--device", device, "--precision", precision]
    flags += ["--archives", *archives] if archives else []
    found = []
    for number, shape in enumerate(GENERAL, start=1):
        log.info("%d of %d: %s", number, len(GENERAL), shape)
        found.append(measured(shape, flags, free_memory()))
    print(f"random weights, {precision} on {device}, {settings.task}")
    print(shape_table(found, arguments.within))
    print(fitting(found, arguments.hours, arguments.within))
    _write(arguments.json, {"precision": precision, "shapes": [asdict(one) for one in found]})
    return 1 if any(one.rtfx is None for one in found) else 0


def _excerpts(archives: Sequence[str], settings: Settings) -> list[bytes]:
    from nightscribe.cli.excerpts import MAX_FILE_BYTES, draw_excerpts

    excerpts = list(draw_excerpts(archives, settings.limits))
    if not excerpts:
        raise ConfigurationError(
            f"no audio that could be used was found in {', '.join(archives)} (in files of at most "
            f"{MAX_FILE_BYTES / GIB:g} GiB)"
        )
    return excerpts


def _require_writable(file: Path) -> None:
    """Create the file now, so that a wrong path is reported before the measurement."""
    try:
        file.touch()
    except OSError as error:
        raise ConfigurationError(f"--json {file}: cannot be written: {error.strerror}") from error


def _write(file: Path | None, figures: Mapping[str, Any]) -> None:
    if file:
        with whole_file(file) as path:
            path.write_text(json.dumps(figures, indent=1) + "\n", encoding="utf-8")


def _print(figures: Mapping[str, Any]) -> None:
    print(
        f"{duration(figures['audio_s'])} of audio in {duration(figures['wall_s'])}: "
        f"RTFx {figures['rtfx']:.1f}, {figures['failed']} failed, "
        f"peak memory {figures['peak_memory_bytes'] / MIB:.0f} MiB\n"
        f"{figures['estimate_for_hours']:g} hours of audio like this: "
        f"{duration(figures['estimate_hours'] * 3600)} on this device"
    )
