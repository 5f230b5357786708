"""What is pending, how long it will take, until when, and what it costs. Changes nothing.

The time follows from the speeds that this lake has measured, for the model that is asked for and
for every other that has transcribed in this lake. In parentheses is what the scatter of the
batches leaves open (a 90 % interval of the speed). The length of files that no run has read yet is
estimated from their size. Exits with 1 if the model that is asked for will not be done in time with
any of the numbers of workers.

examples:
  nightscribe plan --archives /data/radio --lake /data/lake --model large-v3
  nightscribe plan --workers 1 4 16 --price-per-gpu-hour 2.5
  nightscribe plan --workers 4 --done-by 06:00
"""

from __future__ import annotations

import argparse
import math
import re
from collections.abc import Callable
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from nightscribe.cli.arguments import (
    add_night,
    add_order,
    has_lake,
    lake_to_read,
    order_of,
    settings_of,
)
from nightscribe.errors import ConfigurationError, LakeError
from nightscribe.flags import add_list
from nightscribe.progress import duration
from nightscribe.settings import TIME_OF_DAY
from nightscribe.text_tables import print_table

if TYPE_CHECKING:
    from nightscribe.stages.outlook import Outlook, Prospect

_AGES = ("up to a day", "a week", "30 days", "longer")
"""What `EDGES_DAYS` divide."""

_WORDS = {True: "late", False: "in time", None: "unknown"}

_MOST_WORKERS = 10_000


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add what to plan, the workers, the price and the deadline."""
    add_night(parser)
    add_order(parser)
    add_list(
        parser,
        "--workers",
        metavar="N",
        help="batches that are transcribed at once, such as GPUs (default: 1)",
    )
    parser.add_argument(
        "--price-per-gpu-hour",
        type=_price,
        metavar="AMOUNT",
        help="what a worker costs in an hour, in any currency",
    )
    parser.add_argument(
        "--done-by",
        type=_time_of_day,
        metavar="HH:MM",
        help="time of day in UTC by which the night should be done (NIGHTSCRIBE_DONE_BY)",
    )


def execute(arguments: argparse.Namespace) -> int:
    """Print what is pending and the prospects; returns 1 if the model will be late."""
    from nightscribe.stages.forecast import due_at
    from nightscribe.stages.outlook import outlook

    settings = settings_of(arguments)
    try:
        lake = lake_to_read(arguments)
    except LakeError as error:
        if has_lake(arguments):
            raise
        raise LakeError(
            f"{error}. Before a first run, `nightscribe bench --archives … --model … --hours N` "
            "says how long N hours of such audio take on this machine"
        ) from error
    now = datetime.now(UTC)
    done_by = arguments.done_by or settings.done_by
    workers = [_count(text) for text in arguments.workers or ["1"]]
    found = outlook(lake, order_of(arguments, settings), settings)
    prospects = found.prospects(
        workers,
        now=now,
        due=due_at(done_by, now) if done_by else None,
        price=arguments.price_per_gpu_hour,
    )
    _print_pending(found)
    print()
    _print_prospects(prospects, has_price=arguments.price_per_gpu_hour is not None, done_by=done_by)
    if found.earlier:
        print("\nearlier runs, and what was expected of them")
        rows = [
            [f"{at:%Y-%m-%d %H:%M}", model, duration(took_s), duration(expected_s)]
            for at, model, expected_s, took_s in found.earlier
        ]
        print_table(["planned at (UTC)", "model", "took", "expected"], rows)
    of_asked = prospects[: len(workers)]
    return 1 if all(one.late is not False for one in of_asked) else 0


def _print_pending(found: Outlook) -> None:
    print(
        f"pending: {found.recordings:,} recordings, {found.transcripts:,} transcripts, "
        f"{found.audio_s / 3600:.2f} h of audio, counted once per task; "
        f"{found.already_done:,} exist already"
    )
    if found.new.files:
        length = (
            "their length is unknown and not in the figures below: this lake has no recordings yet"
            if found.new.audio_s is None
            else f"about {found.new.audio_s / 3600:.2f} h of audio, by their size"
        )
        size = f"{found.new.size_bytes / 1e6:.1f} MB"
        print(f"not read yet: {found.new.files:,} new files of {size}; {length}")
    if found.languages:
        print("\nhours of pending audio, by the time since the lake first saw it")
        print_table(
            ["language", *_AGES],
            [
                [language or "not known yet", *(f"{seconds / 3600:.2f}" for seconds in ages)]
                for language, ages in found.languages
            ],
        )


def _print_prospects(prospects: list[Prospect], *, has_price: bool, done_by: str) -> None:
    columns = ["model", "device", "RTFx", "batches", "hours", "workers", "takes", "done at (UTC)"]
    columns += ["cost"] if has_price else []
    columns += [f"by {done_by}"] if done_by else []
    rows = []
    for one in prospects:
        speed, time = one.speed, one.time
        row = [
            speed.model,
            speed.device,
            _with_interval(speed.rtfx, speed.low, speed.high, "{:.1f}".format),
            str(speed.batches) if speed.batches else "assumed",
            f"{one.audio_s / 3600:.2f}",
            str(one.workers),
            _with_interval(time.expected_s, time.shortest_s, time.longest_s, duration),
            f"{one.ends:%Y-%m-%d %H:%M}",
        ]
        row += [] if one.cost is None else [f"{one.cost:.2f}"]
        row += [_WORDS[one.late]] if done_by else []
        rows.append(row)
    print_table(columns, rows)


def _with_interval(
    middle: float, low: float | None, high: float | None, shown: Callable[[float], str]
) -> str:
    interval = "" if low is None or high is None else f" ({shown(low)}–{shown(high)})"
    return f"{shown(middle)}{interval}"


def _count(text: str) -> int:
    if not text.isdecimal() or not 0 < int(text) <= _MOST_WORKERS:
        raise ConfigurationError(f"--workers {text}: give numbers from 1 to {_MOST_WORKERS:,}")
    return int(text)


def _price(text: str) -> float:
    try:
        price = float(text)
    except ValueError:
        price = math.nan
    if not 0 <= price < math.inf:
        raise argparse.ArgumentTypeError(f"{text!r}: give an amount, such as 2.5")
    return price


def _time_of_day(text: str) -> str:
    if not re.fullmatch(TIME_OF_DAY, text):
        raise argparse.ArgumentTypeError(f"{text!r}: give a time of day in UTC, such as 06:00")
    return text
