"""Time and memory of an evaluation by the number of utterances."""

from __future__ import annotations

import csv
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from benchmarks.measure import ResourceMonitor, environment
from nightscribe.text_tables import markdown_table

LANGUAGES = ("en", "de", "es", "fr", "ru", "hi", "ar", "zh")
"""Each has an eighth of the utterances."""

Words = NDArray[np.str_]

_WORDS = 5_000  # size of a language's vocabulary
_MEAN_WORDS = 20  # per utterance; English FLEURS has about 20
_ERRORS = 0.1  # share of the words that are substituted, deleted or inserted
_ALPHABETS = {
    "ru": "абвгдеиклмнопрстуя",
    "hi": "कखगचजटडतदनपबमयरल",
    "ar": "ابتجحدرسعفقكلمنهوي",
    "zh": "的一是了我不人在他有这中大来上国个到说们",
}


@dataclass(frozen=True)
class EvaluationRun:
    """Time and memory of an evaluation process."""

    utterances: int
    wall_s: float
    peak_memory: int  # resident bytes


def evaluations_by_count(counts: Sequence[int], work: Path) -> Iterator[EvaluationRun]:
    """Run `python -m evaluation` once per number of utterances, with a report."""
    work.mkdir(parents=True, exist_ok=True)
    for count in counts:
        references, hypotheses = (work / f"{name}-{count}.csv" for name in ("refs", "hyps"))
        write_utterances(references, hypotheses, count)
        command = [sys.executable, "-m", "evaluation", "--references", str(references)]
        command += ["--hypotheses", str(hypotheses), "--out", str(work / f"report-{count}")]
        started = time.monotonic()
        with (
            subprocess.Popen(
                command, env=environment(threads=1), stdout=subprocess.DEVNULL
            ) as process,
            ResourceMonitor(process.pid, on_device=False) as monitor,
        ):
            status = process.wait()
        if status:
            raise SystemExit(f"{' '.join(command)}: ended with status {status}")
        yield EvaluationRun(count, time.monotonic() - started, monitor.peak)


def write_utterances(references: Path, hypotheses: Path, count: int) -> None:
    """Write `count` utterances of random words as references, and as hypotheses with errors."""
    random = np.random.default_rng(count)
    words = {language: _vocabulary(random, language) for language in LANGUAGES}
    with (
        references.open("w", newline="", encoding="utf-8") as reference_file,
        hypotheses.open("w", newline="", encoding="utf-8") as hypothesis_file,
    ):
        columns = ["id", "language", "text", "translation"]
        writers = csv.writer(reference_file), csv.writer(hypothesis_file)
        for writer in writers:
            writer.writerow(columns)
        for number in range(count):
            language = LANGUAGES[number % len(LANGUAGES)]
            text, translation = (
                random.choice(words[spoken], 1 + random.poisson(_MEAN_WORDS - 1))
                for spoken in (language, "en")
            )
            gap = "" if language == "zh" else " "
            writers[0].writerow([number, language, gap.join(text), " ".join(translation)])
            text = _with_errors(random, text, words[language])
            translation = _with_errors(random, translation, words["en"])
            writers[1].writerow([number, language, gap.join(text), " ".join(translation)])


def scoring_table(runs: Sequence[EvaluationRun]) -> str:
    """The runs as a table."""
    rows = [
        [
            f"{run.utterances:,}",
            f"{run.wall_s:.1f} s",
            f"{run.wall_s / run.utterances * 1000:.2f} ms",
            f"{run.peak_memory / 2**20:.0f} MiB",
        ]
        for run in runs
    ]
    return markdown_table(["utterances", "time", "time per utterance", "peak memory"], rows)


def _vocabulary(random: np.random.Generator, language: str) -> Words:
    letters = list(_ALPHABETS.get(language, "abcdefghilmnoprstu"))
    if language == "zh":
        return np.array(letters)
    lengths = 2 + random.poisson(4, _WORDS)
    return np.array(["".join(random.choice(letters, length)) for length in lengths])


def _with_errors(random: np.random.Generator, text: Words, vocabulary: Words) -> list[str]:
    """The text with deletions, substitutions and insertions: a third of `_ERRORS` each."""
    changed = []
    for word, chance in zip(text, random.random(len(text)), strict=True):
        if chance > _ERRORS / 3:
            changed.append(random.choice(vocabulary) if chance < _ERRORS * 2 / 3 else word)
        if _ERRORS * 2 / 3 <= chance < _ERRORS:
            changed.append(random.choice(vocabulary))
    return changed
