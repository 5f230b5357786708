"""`python -m benchmarks engines` compares engines; the other commands explain ours."""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from itertools import chain
from pathlib import Path

from benchmarks.archive import Recorded, read_archive
from benchmarks.compare import rows, turns
from benchmarks.conditions import conditions, processor
from benchmarks.engines import ENGINES, OURS, Setup, missing
from benchmarks.feeding import by_format
from benchmarks.feeding import shown as feeding_table
from benchmarks.measure import Failed, Measured, measure
from benchmarks.memory import by_count, by_length
from benchmarks.memory import shown as memory_table
from benchmarks.models import in_formats, random_checkpoint
from benchmarks.profile import profile
from benchmarks.scoring import by_count as scored_by_count
from benchmarks.scoring import shown as scoring_table
from benchmarks.shapes import SHAPES
from benchmarks.table import comparison
from nightscribe.audio.cores import usable_cores, workers_for
from nightscribe.errors import ConfigurationError, ModelError
from nightscribe.whisper.checkpoints import resolve
from nightscribe.whisper.devices import pick_device

_TOKENS = range(3, 201)  # openai-whisper ends a window after 224


def main() -> None:
    """Do what the command line says."""
    arguments = _parser().parse_args()
    if arguments.command == "scoring":
        _scoring(arguments)
        return
    folder = arguments.archive or arguments.work / f"archive-{arguments.recordings}"
    if arguments.command == "feeding":
        _say(f"reading, or making, the archive in {folder}")
        _feeding(arguments, read_archive(folder, arguments.recordings))
        return
    try:
        device = pick_device(arguments.device)
        checkpoint = _checkpoint(arguments)
    except (ConfigurationError, ModelError) as error:
        raise SystemExit(str(error)) from None
    _say(f"reading, or making, the archive in {folder}")
    archive = read_archive(folder, arguments.recordings) * arguments.copies
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
        # Random weights read their text only where no other text precedes it.
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
    found = rows(runs, archive)
    on_device = setup.device == "cuda"
    print(comparison(found, on_device=on_device, readable=arguments.shape is None))
    if arguments.json:
        report = {
            "conditions": state,
            "rows": [asdict(row) for row in found],
            "turns": [[asdict(measured) for measured in turn] for turn in runs],
        }
        arguments.json.parent.mkdir(parents=True, exist_ok=True)
        arguments.json.write_text(json.dumps(report, indent=1, ensure_ascii=False) + "\n")


def _memory(arguments: argparse.Namespace, setup: Setup, archive: Sequence[Recorded]) -> None:
    runs = []
    try:
        for grown in chain(
            by_count(arguments.engine, setup, archive, arguments.counts),
            by_length(arguments.engine, setup, archive, arguments.hours, arguments.work),
        ):
            _say(f"{grown.what}: {grown.wall_s:.0f} s, {grown.peak_memory >> 20} MiB")
            runs.append(grown)
    except Failed as failure:
        print(f"the next run failed: {failure}")
    print(memory_table(runs))


def _feeding(arguments: argparse.Namespace, archive: Sequence[Recorded]) -> None:
    print(f"{processor()}, {time.strftime('%Y-%m-%d %H:%M %Z')}\n")
    found = []
    for fed in by_format(
        archive,
        seconds=60 * arguments.minutes,
        repeats=arguments.repeats,
        workers=arguments.workers,
    ):
        _say(f"{fed.what}: {fed.rtfx:.0f}")
        found.append(fed)
    print(feeding_table(found, arguments.target))


def _scoring(arguments: argparse.Namespace) -> None:
    print(f"{processor()}, {time.strftime('%Y-%m-%d %H:%M %Z')}\n")
    found = []
    for scored in scored_by_count(arguments.counts, arguments.work):
        _say(f"{scored.utterances}: {scored.wall_s:.1f} s, {scored.peak_memory >> 20} MiB")
        found.append(scored)
    print(scoring_table(found))


def _models(chosen: Sequence[str], checkpoint: Path, work: Path) -> dict[str, Path]:
    """The model of each engine that is installed; of the others it is said that they are not."""
    names = []
    for name in chosen:
        package = missing(ENGINES[name])
        if package:
            print(f"{name} is left out: the package {package} is not installed")
        else:
            names.append(name)
    formats = {name: ENGINES[name].model_format for name in names}
    found = in_formats(set(formats.values()), checkpoint, work)
    return {name: found[formats[name]] for name in names}


def _run(
    models: Mapping[str, Path],
    repeats: int,
    setup: Setup,
    archive: Sequence[Recorded],
    warm_up: Sequence[str],
) -> list[list[Measured]]:
    """Every engine once a turn; one that fails is left out from then on, and said to be."""
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
            except Failed as failure:
                print(f"{name} is left out: {failure}")
                failed.add(name)
                continue
            runs[-1].append(measured)
            _say(
                f"turn {number} of {repeats}, {name}: {measured.wall_s:.1f} s, "
                f"RTFx {seconds / measured.wall_s:.1f}"
            )
    return runs


def _checkpoint(arguments: argparse.Namespace) -> Path:
    if arguments.shape is None:
        return Path(resolve(arguments.model).path)
    return random_checkpoint(arguments.shape, arguments.tokens, arguments.work)


def _say(line: str) -> None:
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
    engines.add_argument("--repeats", type=int, default=3, help="turns of all (default: 3)")
    engines.add_argument("--batch-size", type=int, help="of the others: 8, or 32 on CUDA")
    engines.add_argument("--json", type=Path, metavar="FILE", help="write every run's figures")
    explain = commands.add_parser("profile", help="where the time of our engine goes")
    explain.set_defaults(batch_size=None)
    memory = commands.add_parser("memory", help="how our engine's memory grows")
    memory.add_argument(
        "--counts", type=_numbers, default=[10, 100, 1000], metavar="N,…", help="of recordings"
    )
    memory.add_argument(
        "--hours", type=_numbers, default=[1, 10], metavar="H,…", help="of single recordings"
    )
    memory.set_defaults(batch_size=None)
    for command in (explain, memory):
        command.add_argument(
            "--engine", choices=OURS, default=OURS[0], help="ours at a precision (default: auto)"
        )
    feeding = commands.add_parser("feeding", help="how fast audio is decoded, by format")
    feeding.add_argument("--minutes", type=float, default=5, help="of each (default: 5)")
    feeding.add_argument("--repeats", type=int, default=5, help="of each (default: 5)")
    feeding.add_argument(
        "--workers",
        type=int,
        default=workers_for("cuda"),
        help="processes (default: as many as for a graphics card, a core less than there are)",
    )
    feeding.add_argument(
        "--target", type=float, default=4000, help="RTFx to keep up with (default: 4000)"
    )
    scoring = commands.add_parser("scoring", help="how long an evaluation takes")
    scoring.add_argument(
        "--counts",
        type=_numbers,
        default=[1_000, 10_000, 100_000],
        metavar="N,…",
        help="utterances",
    )
    for command in (engines, explain, memory):
        model = command.add_mutually_exclusive_group()
        model.add_argument("--model", default="demo", help="by name or path (default: demo)")
        model.add_argument("--shape", choices=SHAPES, help="random weights of an official shape")
        command.add_argument(
            "--tokens",
            type=int,
            choices=_TOKENS,
            default=100,
            metavar="N",
            help="a window, with --shape: 3 to 200 (default: 100)",
        )
        command.add_argument(
            "--copies", type=int, default=1, help="of each, where these are too few (default: 1)"
        )
        command.add_argument(
            "--warm-up", type=int, default=2, help="shortest ones, read untimed (default: 2)"
        )
        command.add_argument("--device", default="auto", help="cpu, cuda or auto")
        command.add_argument("--threads", type=int, default=usable_cores())
    for command in (engines, explain, memory, feeding):
        command.add_argument("--archive", type=Path, help="folder; made if it is not there")
        command.add_argument("--recordings", type=int, default=64, help="of it (default: 64)")
    for command in (engines, explain, memory, feeding, scoring):
        command.add_argument(
            "--work",
            type=Path,
            default=Path("build/benchmarks"),
            help="folder for what is made on the way (default: %(default)s)",
        )
    return parser


def _numbers(given: str) -> list[float]:
    numbers = [float(number) for number in given.split(",") if number]
    return [int(number) if number.is_integer() else number for number in numbers]


def _names(given: str) -> list[str]:
    names = [name.strip() for name in given.split(",")]
    unknown = [name for name in names if name not in ENGINES]
    if unknown:
        raise argparse.ArgumentTypeError(f"{unknown[0]!r}: choose among {', '.join(ENGINES)}")
    return names


if __name__ == "__main__":
    main()
