"""Compare speech recognition engines, and measure parts of Nightscribe."""

from __future__ import annotations

import argparse
import json
import math
import signal
import sys
import tempfile
import time
from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict
from itertools import chain
from pathlib import Path

from benchmarks.archive import Recorded, noise_archive, read_archive
from benchmarks.compare import rows, turns
from benchmarks.conditions import conditions, processor
from benchmarks.decoding import by_format, decoding_table
from benchmarks.engines import ENGINES, OURS, Setup, missing_package
from benchmarks.measure import EngineFailed, Measured, measure
from benchmarks.memory import by_count, by_length, memory_table
from benchmarks.models import in_formats, random_checkpoint
from benchmarks.profile import profile
from benchmarks.scoring import evaluations_by_count, scoring_table
from benchmarks.table import SHAPE_ENGINES, comparison, shape_table
from nightscribe.audio.cores import usable_cores, workers_for
from nightscribe.errors import ConfigurationError, ModelError
from nightscribe.whisper.batched.random_weights import SHAPES
from nightscribe.whisper.checkpoints import resolve
from nightscribe.whisper.devices import pick_device

_TOKENS = range(3, 201)  # openai-whisper ends a window after 224


def main() -> None:
    """Run the command."""
    arguments = _parser().parse_args()
    if arguments.command == "scoring":
        _scoring(arguments)
        return
    if arguments.command == "shapes":
        _shapes(arguments)
        return
    folder = arguments.archive or arguments.work / f"archive-{arguments.recordings}"
    if arguments.command == "decoding":
        _log(f"reading or creating the archive in {folder}")
        _decoding(arguments, read_archive(folder, arguments.recordings))
        return
    try:
        device = pick_device(arguments.device)
        checkpoint = _checkpoint(arguments)
    except (ConfigurationError, ModelError) as error:
        raise SystemExit(str(error)) from None
    _log(f"reading or creating the archive in {folder}")
    least, most = arguments.seconds
    archive = arguments.copies * [
        recorded
        for recorded in read_archive(folder, arguments.recordings)
        if least <= recorded.seconds < most
    ]
    if not archive:
        raise SystemExit(f"{folder} has no recording of {least:g} to {most:g} s")
    shortest = sorted(archive, key=lambda recorded: recorded.seconds)[: arguments.warm_up]
    warm_up = [recorded.path for recorded in shortest]
    state = conditions(
        model=arguments.shape or arguments.model,
        tokens=arguments.tokens if arguments.shape else None,
        archive=archive,
        device=device,
        threads=arguments.threads,
    )
    print(state)
    setup = Setup(
        model=str(checkpoint.resolve()),
        device=device,
        threads=arguments.threads,
        batch_size=arguments.batch_size or (32 if device == "cuda" else 8),
        # Random weights give their text only if no other text precedes it.
        conditioned=arguments.shape is None,
    )
    if arguments.command == "memory":
        _memory(arguments, setup, archive)
    elif arguments.command == "profile":
        paths = [recorded.path for recorded in archive]
        print(profile(arguments.engine, setup, paths, warm_up))
    else:
        _engines(arguments, setup, archive, warm_up, checkpoint, asdict(state))


def _engines(
    arguments: argparse.Namespace,
    setup: Setup,
    archive: Sequence[Recorded],
    warm_up: Sequence[str],
    checkpoint: Path,
    state: Mapping[str, object],
) -> None:
    models = _models(arguments.engines, checkpoint, arguments.work)
    runs = _run(models, arguments.repeats, setup, archive, warm_up)
    compared = rows(runs, archive)
    on_device = setup.device == "cuda"
    print(comparison(compared, on_device=on_device, readable=arguments.shape is None))
    if arguments.json:
        report = {
            "conditions": state,
            "rows": [asdict(row) for row in compared],
            "turns": [[asdict(measured) for measured in turn] for turn in runs],
        }
        arguments.json.parent.mkdir(parents=True, exist_ok=True)
        arguments.json.write_text(json.dumps(report, indent=1, ensure_ascii=False) + "\n")


def _shapes(arguments: argparse.Namespace) -> None:
    """One table of all shapes. Weights are written, converted and removed one after the other."""
    device = pick_device(arguments.device)
    archive = noise_archive(arguments.work / "noise", arguments.windows)
    state = conditions(
        model=", ".join(arguments.shapes),
        tokens=arguments.tokens,
        archive=archive,
        device=device,
        threads=arguments.threads,
    )
    print(state, flush=True)
    found = []
    for shape in arguments.shapes:
        with tempfile.TemporaryDirectory(dir=arguments.work) as folder:
            checkpoint = random_checkpoint(shape, arguments.tokens, Path(folder))
            setup = Setup(str(checkpoint), device, arguments.threads, 1, conditioned=False)
            models = _models(arguments.engines, checkpoint, Path(folder))
            warm_up = [recorded.path for recorded in archive[:1]]
            runs = _run(models, arguments.repeats, setup, archive, warm_up)
        found.append((shape, rows(runs, archive)))
        _log(shape_table(found, arguments.engines))
    print(shape_table(found, arguments.engines))


def _memory(arguments: argparse.Namespace, setup: Setup, archive: Sequence[Recorded]) -> None:
    runs = []
    try:
        for run in chain(
            by_count(arguments.engine, setup, archive, arguments.counts),
            by_length(arguments.engine, setup, archive, arguments.hours, arguments.work),
        ):
            _log(f"{run.what}: {run.wall_s:.0f} s, {run.peak_memory >> 20} MiB")
            runs.append(run)
    except EngineFailed as failure:
        print(f"the next run failed: {failure}")
    print(memory_table(runs))


def _decoding(arguments: argparse.Namespace, archive: Sequence[Recorded]) -> None:
    print(f"{processor()}, {time.strftime('%Y-%m-%d %H:%M %Z')}\n")
    speeds = []
    for speed in by_format(
        archive,
        seconds=60 * arguments.minutes,
        repeats=arguments.repeats,
        workers=arguments.workers,
    ):
        _log(f"{speed.what}: {speed.rtfx:.0f}")
        speeds.append(speed)
    print(decoding_table(speeds, arguments.target))


def _scoring(arguments: argparse.Namespace) -> None:
    print(f"{processor()}, {time.strftime('%Y-%m-%d %H:%M %Z')}\n")
    runs = []
    for run in evaluations_by_count(arguments.counts, arguments.work):
        _log(f"{run.utterances}: {run.wall_s:.1f} s, {run.peak_memory >> 20} MiB")
        runs.append(run)
    print(scoring_table(runs))


def _models(chosen: Sequence[str], checkpoint: Path, work: Path) -> dict[str, Path]:
    """Installed engine → the model in its format. Prints which engines are not installed."""
    names = []
    for name in chosen:
        package = missing_package(ENGINES[name])
        if package:
            print(f"{name} is left out: the package {package} is not installed")
        else:
            names.append(name)
    formats = {name: ENGINES[name].model_format for name in names}
    models = in_formats(set(formats.values()), checkpoint, work)
    return {name: models[formats[name]] for name in names}


def _run(
    models: Mapping[str, Path],
    repeats: int,
    setup: Setup,
    archive: Sequence[Recorded],
    warm_up: Sequence[str],
) -> list[list[Measured]]:
    """Run every engine once per turn. An engine that fails is reported and not run again."""
    paths = [recorded.path for recorded in archive]
    seconds = sum(recorded.seconds for recorded in archive)
    failed: set[str] = set()
    runs: list[list[Measured]] = []
    for number, turn in enumerate(turns(list(models), repeats), start=1):
        runs.append([])
        for name in turn:
            if name in failed:
                continue
            try:
                measured = measure(name, setup.of(models[name]), paths, warm_up)
            except EngineFailed as failure:
                print(f"{name} is left out: {failure}")
                failed.add(name)
                continue
            runs[-1].append(measured)
            _log(
                f"turn {number} of {repeats}, {name}: {measured.wall_s:.1f} s, "
                f"RTFx {seconds / measured.wall_s:.1f}"
            )
    return runs


def _checkpoint(arguments: argparse.Namespace) -> Path:
    if arguments.shape is None:
        return Path(resolve(arguments.model).path)
    return random_checkpoint(arguments.shape, arguments.tokens, arguments.work)


def _log(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    engines = commands.add_parser("engines", help="compare engines: speed, memory, texts")
    engines.add_argument(
        "--engines",
        type=_names,
        default=list(ENGINES),
        metavar="NAME,…",
        help=f"which of: {', '.join(ENGINES)} (default: all)",
    )
    engines.add_argument(
        "--repeats", type=int, default=3, help="runs of each engine, in turns (default: 3)"
    )
    engines.add_argument(
        "--batch-size", type=int, help="batch size of the other engines (default: 8, on CUDA 32)"
    )
    engines.add_argument(
        "--json", type=Path, metavar="FILE", help="also write the figures of all runs to this file"
    )
    shapes = commands.add_parser("shapes", help="all official shapes, with random weights")
    shapes.add_argument(
        "--shapes",
        type=lambda given: _names(given, SHAPES),
        default=list(SHAPES),
        metavar="NAME,…",
        help=f"which of: {', '.join(SHAPES)} (default: all)",
    )
    shapes.add_argument(
        "--windows", type=int, default=8, help="recordings of 30 s of noise (default: 8)"
    )
    shapes.add_argument(
        "--repeats", type=int, default=1, help="runs of each engine, in turns (default: 1)"
    )
    shapes.add_argument(
        "--engines",
        type=_names,
        default=[*SHAPE_ENGINES],
        metavar="NAME,…",
        help=f"which of: {', '.join(ENGINES)} (default: {', '.join(SHAPE_ENGINES)})",
    )
    profiling = commands.add_parser("profile", help="time of our engine by stage")
    profiling.set_defaults(batch_size=None)
    memory = commands.add_parser("memory", help="memory of our engine by amount of audio")
    memory.add_argument(
        "--counts",
        type=_numbers,
        default=[10, 100, 1000],
        metavar="N,…",
        help="numbers of recordings (default: 10,100,1000)",
    )
    memory.add_argument(
        "--hours",
        type=_numbers,
        default=[1, 10],
        metavar="H,…",
        help="hours of single recordings (default: 1,10)",
    )
    memory.set_defaults(batch_size=None)
    for command in (profiling, memory):
        command.add_argument(
            "--engine",
            choices=OURS,
            default=OURS[0],
            help="our engine, at its default precision or in bfloat16 (default: %(default)s)",
        )
    decoding = commands.add_parser("decoding", help="speed of audio decoding by format")
    decoding.add_argument(
        "--minutes", type=float, default=5, help="minutes of audio per format (default: 5)"
    )
    decoding.add_argument("--repeats", type=int, default=5, help="runs per format (default: 5)")
    decoding.add_argument(
        "--workers",
        type=int,
        default=workers_for("cuda"),
        help="worker processes (default: as with a GPU, %(default)s on this machine)",
    )
    decoding.add_argument(
        "--target",
        type=float,
        default=4000,
        help="RTFx of the device that the cores must keep up with (default: 4000)",
    )
    scoring = commands.add_parser("scoring", help="time and memory of an evaluation")
    scoring.add_argument(
        "--counts",
        type=_numbers,
        default=[1_000, 10_000, 100_000],
        metavar="N,…",
        help="numbers of utterances (default: 1000,10000,100000)",
    )
    for command in (engines, profiling, memory):
        model = command.add_mutually_exclusive_group()
        model.add_argument(
            "--model", default="demo", help="name or path of a checkpoint (default: demo)"
        )
        model.add_argument("--shape", choices=SHAPES, help="random weights in this official shape")
        command.add_argument(
            "--seconds",
            type=_lengths,
            default=(0.0, math.inf),
            metavar="FROM-TO",
            help="only recordings of these lengths, such as 0-30 (default: all)",
        )
        command.add_argument(
            "--copies", type=int, default=1, help="times to repeat the recordings (default: 1)"
        )
        command.add_argument(
            "--warm-up",
            type=int,
            default=2,
            help="shortest recordings to transcribe first, untimed (default: 2)",
        )
    for command in (engines, shapes, profiling, memory):
        command.add_argument(
            "--tokens",
            type=int,
            choices=_TOKENS,
            default=100,
            metavar="N",
            help="with random weights: tokens per window, 3 to 200 (default: 100)",
        )
        command.add_argument("--device", default="auto", help="cpu, cuda or auto (default: auto)")
        command.add_argument(
            "--threads",
            type=int,
            default=usable_cores(),
            help="CPU threads (default: all cores, %(default)s)",
        )
    for command in (engines, profiling, memory, decoding):
        command.add_argument(
            "--archive",
            type=Path,
            help="folder with recordings and a manifest (default: created with espeak-ng)",
        )
        command.add_argument(
            "--recordings", type=int, default=64, help="recordings of it to use (default: 64)"
        )
    for command in (engines, shapes, profiling, memory, decoding, scoring):
        command.add_argument(
            "--work",
            type=Path,
            default=Path("build/benchmarks"),
            help="folder of intermediate files (default: %(default)s)",
        )
    return parser


def _numbers(given: str) -> list[float]:
    numbers = [float(number) for number in given.split(",") if number]
    return [int(number) if number.is_integer() else number for number in numbers]


def _lengths(given: str) -> tuple[float, float]:
    least, dash, most = given.partition("-")
    try:
        if not dash or not float(least) < float(most):
            raise ValueError
        return float(least), float(most)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{given!r}: expected FROM-TO, such as 0-30") from None


def _names(given: str, known: Collection[str] = ENGINES) -> list[str]:
    names = [name.strip() for name in given.split(",")]
    unknown = [name for name in names if name not in known]
    if unknown:
        raise argparse.ArgumentTypeError(f"{unknown[0]!r}: choose from {', '.join(known)}")
    return names


if __name__ == "__main__":
    # A reader such as `head` that goes away ends it, as it ends other programs.
    signal.signal(signal.SIGPIPE, signal.SIG_DFL)
    main()
