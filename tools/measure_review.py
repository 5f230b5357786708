"""How many minutes of listening find how many errors, by the order in which people listen.

Takes the transcripts of a lake that have references. The references say where the errors are; a
reviewer who listens to whole transcripts in some order would have found them in that order. Prints,
for each order, the minutes until a half, four fifths and all errors are found. `random` is the mean
of 1,000 orders, `errors` the best order that there is: nobody knows it beforehand.

    python tools/measure_review.py LAKE
"""

from __future__ import annotations

import argparse
import math
import random
import signal
import statistics
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import pyarrow as pa

from evaluation.measure.counts import errors
from evaluation.measure.transcripts import unit_counts
from evaluation.pairs.from_lake import pairs
from nightscribe.lake.opening import open_to_read
from nightscribe.lake.reading import connect

SHARES = (0.5, 0.8, 1.0)
SHUFFLES = 1000

FIGURES = """SELECT transcript_id, t.avg_logprob, t.language_probability,
  min(s.avg_logprob) AS worst_logprob, max(s.compression_ratio) AS compression_ratio,
  max(s.no_speech_prob) AS no_speech_prob
FROM transcripts AS t LEFT JOIN segments AS s USING (transcript_id) GROUP BY ALL"""


@dataclass(frozen=True)
class Heard:
    """A transcript: how long it takes to hear, what is wrong in it, what the model says."""

    minutes: float
    errors: int
    figures: dict[str, Any]


def _or(value: float | None, default: float) -> float:
    return default if value is None else value


ORDERS: dict[str, Callable[[Heard], float]] = {
    "mean log-probability": lambda one: _or(one.figures["avg_logprob"], 0),
    "lowest log-probability": lambda one: _or(one.figures["worst_logprob"], 0),
    "highest no-speech probability": lambda one: -_or(one.figures["no_speech_prob"], 0),
    "highest compression ratio": lambda one: -_or(one.figures["compression_ratio"], 0),
    "language probability": lambda one: _or(one.figures["language_probability"], 1),
    "mean log-probability and language": lambda one: (
        _or(one.figures["avg_logprob"], 0)
        + math.log(max(_or(one.figures["language_probability"], 1), 1e-9))
    ),
    "shortest first": lambda one: one.minutes,
    "errors": lambda one: -one.errors / one.minutes,
}


def read(uri: str) -> list[Heard]:
    """The transcripts with references, with errors in words or letters."""
    with connect(open_to_read(uri)) as connection:
        table = pairs(connection)
        figures = {
            row["transcript_id"]: row
            for row in connection.sql(FIGURES).to_arrow_table().to_pylist()
        }
    heard = []
    for language in sorted(set(table.column("language").to_pylist())):
        mask = pa.compute.and_(
            pa.compute.equal(table["language"], language),
            pa.compute.equal(table["task"], "transcribe"),
        )
        group = table.filter(mask).to_pylist()
        if group:
            for pair, wrong in zip(group, errors(unit_counts(group)), strict=True):
                heard.append(
                    Heard(pair["duration_s"] / 60, int(wrong), figures[pair["transcript_id"]])
                )
    return heard


def minutes_until(order: Sequence[Heard]) -> list[float]:
    """Minutes of listening until each of `SHARES` of the errors is found."""
    total = sum(one.errors for one in order)
    found, minutes, until = 0, 0.0, []
    for one in order:
        found += one.errors
        minutes += one.minutes
        while len(until) < len(SHARES) and found >= SHARES[len(until)] * total:
            until.append(minutes)
    return until


def main() -> None:
    """Measure a lake."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("lake", metavar="LAKE")
    heard = read(parser.parse_args().lake)
    wrong = sum(one.errors for one in heard)
    with_errors = sum(one.errors > 0 for one in heard)
    minutes = sum(one.minutes for one in heard)
    print(
        f"{len(heard)} transcripts with a reference, {minutes:.1f} min; {wrong} errors in "
        f"{with_errors} of them\n"
    )
    if not wrong:
        return
    dice = random.Random(1)
    shuffled = [minutes_until(dice.sample(heard, len(heard))) for _ in range(SHUFFLES)]
    rows = [("random", [statistics.mean(column) for column in zip(*shuffled, strict=True)])]
    rows += [(name, minutes_until(sorted(heard, key=key))) for name, key in ORDERS.items()]
    print("| order | " + " | ".join(f"{share:.0%} of the errors" for share in SHARES) + " |")
    print("| --- |" + " --- |" * len(SHARES))
    for name, until in rows:
        print(f"| {name} | " + " | ".join(f"{value:.1f} min" for value in until) + " |")


if __name__ == "__main__":
    # A reader such as `head` that goes away ends it, as it ends other programs.
    signal.signal(signal.SIGPIPE, signal.SIG_DFL)
    main()
