"""How long an evaluation takes, and what memory, with the number of utterances."""

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

from benchmarks.measure import Watch, environment
from benchmarks.table import table

LANGUAGES = ("en", "de", "es", "fr", "ru", "hi", "ar", "zh")
"""An eighth of the utterances each."""

Words = NDArray[np.str_]

_WORDS = 5_000
_MEAN_WORDS = 20  # of an utterance; FLEURS has about 20 in English
_ERRORS = 0.1  # of the words: substituted, deleted or inserted
_ALPHABETS = {
    "ru": "абвгдеиклмнопрстуя",
    "hi": "कखगचजटडतदनपबमयरल",
    "ar": "ابتجحدرسعفقكلمنهوي",
    "zh": "的一是了我不人在他有这中大来上国个到说们",
}


@dataclass(frozen=True)
class Scored:
    """An evaluation of so many utterances, as a process."""

    utterances: int
    wall_s: float
    peak_memory: int  # bytes that are resident


def by_count(counts: Sequence[int], work: Path) -> Iterator[Scored]:
    """Evaluations of so many utterances each by `python -m evaluation`, with a report."""
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
            Watch(process.pid, on_device=False) as watch,
        ):
            status = process.wait()
        if status:
            raise SystemExit(f"{' '.join(command)}: ended with status {status}")
        yield Scored(count, time.monotonic() - started, watch.peak)


def write_utterances(references: Path, hypotheses: Path, count: int) -> None:
    """Write so many utterances of random words, transcribed and translated with some mistakes."""
    random = np.random.default_rng(count)
    words = {language: _vocabulary(random, language) for language in LANGUAGES}
    with (
        references.open("w", newline="", encoding="utf-8") as truth,
        hypotheses.open("w", newline="", encoding="utf-8") as heard,
    ):
        columns = ["id", "language", "text", "translation"]
        writers = csv.writer(truth), csv.writer(heard)
        for writer in writers:
            writer.writerow(columns)
        for number in range(count):
            language = LANGUAGES[number % len(LANGUAGES)]
            said, meant = (
                random.choice(words[spoken], 1 + random.poisson(_MEAN_WORDS - 1))
                for spoken in (language, "en")
            )
            gap = "" if language == "zh" else " "
            writers[0].writerow([number, language, gap.join(said), " ".join(meant)])
            said = _misheard(random, said, words[language])
            meant = _misheard(random, meant, words["en"])
            writers[1].writerow([number, language, gap.join(said), " ".join(meant)])


def shown(found: Sequence[Scored]) -> str:
    """The evaluations as a table."""
    rows = [
        [
            f"{one.utterances:,}",
            f"{one.wall_s:.1f} s",
            f"{one.wall_s / one.utterances * 1000:.2f} ms",
            f"{one.peak_memory / 2**20:.0f} MiB",
        ]
        for one in found
    ]
    return table(["utterances", "time", "each", "peak memory"], rows)


def _vocabulary(random: np.random.Generator, language: str) -> Words:
    letters = list(_ALPHABETS.get(language, "abcdefghilmnoprstu"))
    if language == "zh":
        return np.array(letters)
    lengths = 2 + random.poisson(4, _WORDS)
    return np.array(["".join(random.choice(letters, length)) for length in lengths])


def _misheard(random: np.random.Generator, said: Words, words: Words) -> list[str]:
    """Of a tenth of the words some are replaced, some left out, some followed by another."""
    heard = []
    for word, chance in zip(said, random.random(len(said)), strict=True):
        if chance > _ERRORS / 3:
            heard.append(random.choice(words) if chance < _ERRORS * 2 / 3 else word)
        if _ERRORS * 2 / 3 <= chance < _ERRORS:
            heard.append(random.choice(words))
    return heard
