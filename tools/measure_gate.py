"""How often the gate gives a false alarm when few speakers have many recordings each.

Simulates nights of two systems that are equally good. Each speaker has an own error rate with each
system, around the same mean, so the recordings of a speaker are alike. Every language is compared
twice: speakers are drawn and swapped, as the gate does where references name them, and recordings
are, as if each had its own speaker. Prints the share of nights with an alarm, which should be
`alpha`, and the share of single figures whose p of a difference is below `alpha`.

    python tools/measure_gate.py --nights 1000
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa

from evaluation.gate.judging import judge
from evaluation.gate.rules import Rules
from evaluation.measure.bootstrap import Units
from evaluation.measure.comparison import COMPARISON
from evaluation.measure.counts import COLUMNS, Counts
from evaluation.measure.paired import difference
from evaluation.measure.rates import error_rate

RULES = Rules(margins={"wer": 0.0})
"""No margin: it would hide some of the false alarms."""


@dataclass(frozen=True)
class Corpus:
    """The recordings of a night; each language has as many."""

    languages: int
    speakers: int
    recordings: int
    """Of each speaker."""


def equal_systems(random: np.random.Generator, corpus: Corpus) -> tuple[Counts, Counts, Units]:
    """Counts of two equal systems on one language, and the speaker of each recording.

    A recording has 5 to 24 words. A speaker has an own chance of an error with each system: 10 % on
    average, with a standard deviation of 9 points.
    """
    speakers = np.repeat(np.arange(corpus.speakers), corpus.recordings)
    words = random.integers(5, 25, size=len(speakers))
    systems = []
    for _ in range(2):
        errors = random.binomial(words, random.beta(1, 9, size=corpus.speakers)[speakers])
        counts = np.zeros((len(words), COLUMNS), dtype=np.int64)
        counts[:, 0], counts[:, 1] = words - errors, errors  # hits, substitutions
        systems.append(counts)
    return systems[0], systems[1], speakers


def compared(
    language: str, baseline: Counts, candidate: Counts, speakers: Units | None
) -> dict[str, Any]:
    """A row of a comparison; without speakers, recordings are drawn."""
    found = difference(baseline, candidate, error_rate, speakers)
    return {
        "dataset": "simulated",
        "language": language,
        "task": "transcribe",
        "metric": "wer",
        "headline": True,
        "utterances": len(baseline),
        "sampling_unit": "recording" if speakers is None else "speaker",
        "sampling_units": len(baseline) if speakers is None else int(speakers.max()) + 1,
        "baseline": found.baseline,
        "candidate": found.candidate,
        "difference": found.value,
        "ci_low": found.ci_low,
        "ci_high": found.ci_high,
        "standard_error": found.standard_error,
        "p_value": found.p_value,
        "better": found.value < 0 if found.value else None,
    }


def gives_alarm(rows: Sequence[Mapping[str, Any]], rules: Rules = RULES) -> bool:
    """Whether any figure of a night is worse by the rules."""
    table = pa.Table.from_pylist([dict(row) for row in rows], schema=COMPARISON)
    return any(verdict.alarm for verdict in judge(table, rules))


def false_alarms(nights: int, corpus: Corpus, seed: int = 0) -> dict[str, tuple[float, float]]:
    """What is drawn → share of nights with an alarm, and of figures with a p-value below alpha."""
    random = np.random.default_rng(seed)
    alarms = {"speaker": 0, "recording": 0}
    figures = dict.fromkeys(alarms, 0)
    for _ in range(nights):
        systems = [equal_systems(random, corpus) for _ in range(corpus.languages)]
        for unit in alarms:
            rows = [
                compared(f"x{number}", one, other, speakers if unit == "speaker" else None)
                for number, (one, other, speakers) in enumerate(systems)
            ]
            alarms[unit] += gives_alarm(rows)
            figures[unit] += sum((row["p_value"] or 1) < RULES.alpha for row in rows)
    return {
        unit: (alarms[unit] / nights, figures[unit] / (nights * corpus.languages))
        for unit in alarms
    }


def main() -> None:
    """Simulate and print."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0] if __doc__ else None)
    parser.add_argument("--nights", type=int, default=1000)
    parser.add_argument("--languages", type=int, default=6)
    parser.add_argument("--speakers", type=int, default=40, help="of each language")
    parser.add_argument("--recordings", type=int, default=15, help="of each speaker")
    arguments = parser.parse_args()
    corpus = Corpus(arguments.languages, arguments.speakers, arguments.recordings)
    for unit, (nights, figures) in false_alarms(arguments.nights, corpus).items():
        print(
            f"drawing {unit}s: an alarm in {nights:.1%} of nights; "
            f"p of a difference below {RULES.alpha:g} for {figures:.1%} of figures"
        )


if __name__ == "__main__":
    main()
