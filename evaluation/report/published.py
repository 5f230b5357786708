"""Error rates that OpenAI published for Whisper, to show beside one's own.

`published_error_rates.csv` holds those of large-v3 on Common Voice 15 and FLEURS: the numbers in
`language-breakdown.svg` of the repository openai/whisper, as of November 2023. How they were
measured is in its discussion 1762. They compare with one's own only for the same data set, split,
variety of the language, model and normalizer; no others are shown.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from evaluation.languages import language_code
from evaluation.report.by_language import LanguageScores, Score
from nightscribe.languages import parse_language

__all__ = ["SOURCE", "Comparable", "Published", "comparable", "published", "published_figures"]

SOURCE = "openai/whisper, language-breakdown.svg, November 2023"

MODEL_IDS = {"large-v3": "e5b1a55b89c1367dacf97e3e19bfd829a01529dbfdeefa8caeb59b3f1b81dadb"}
"""Model → SHA-256 of the checkpoint that OpenAI distributes under that name."""

_DATASETS = {
    "Common Voice 15": re.compile(r"(mozilla foundation )?(common ?voice|cv( corpus)?) ?15( 0)?"),
    "FLEURS": re.compile(r"(google )?fleurs"),
}
"""Data set → what it may be called, in lower case with spaces for all punctuation."""

_DIGEST = re.compile(r"[0-9a-f]{64}")

_FILE = Path(__file__).with_name("published_error_rates.csv")


@dataclass(frozen=True)
class Published:
    """A figure of the source.

    Attributes:
        dataset, split, model: by the names of the source
        language: Whisper's code
        variety: the language with its region, where the data set is of one
        metric: `wer` or `cer`
        normalizer: as in a score's signature
    """

    dataset: str
    split: str
    language: str
    variety: str | None
    metric: str
    normalizer: str
    model: str
    percent: float


@dataclass(frozen=True)
class Comparable:
    """A published figure and one's own that was measured in the same way."""

    percent: float
    score: Score


@cache
def published_figures() -> tuple[Published, ...]:
    """All of them, in the order of the source."""
    with _FILE.open(encoding="utf-8", newline="") as file:
        return tuple(
            Published(
                dataset=row["dataset"],
                split=row["split"],
                language=row["language"],
                variety=row["variety"] or None,
                metric=row["metric"],
                normalizer=row["normalizer"],
                model=row["model"],
                percent=float(row["percent"]),
            )
            for row in csv.DictReader(file)
        )


def comparable(language: LanguageScores) -> Comparable | None:
    """The published figure for the language with the score that compares; None without either."""
    figure = published(
        language.dataset, language.split, language.model, language.model_id, language.language
    )
    if figure is None:
        return None
    for metric in (figure.metric, f"{figure.metric}_whisper"):
        score = language.scores.get(metric)
        if score and f"|normalizer:{figure.normalizer}|" in score["signature"]:
            return Comparable(figure.percent, score)
    return None


def published(
    dataset: str, split: str | None, model: str, model_id: str, language: str
) -> Published | None:
    """The figure of the same data set, split, variety and model; None if there is none.

    A data set is recognised by its name in any case and punctuation, which the split and the
    language may follow: `fleurs`, `FLEURS test`, `fleurs_de`, `common_voice_15`. A model is
    recognised by the digest of its checkpoint, or by its name where there is no digest.

    Args:
        split: None if it is not known; then the name of the data set must say it
        language: code or variety. Without a region, it is that of the data set if the data set has
            only one.
    """
    found = [
        figure
        for figure in published_figures()
        if language_code(language) == figure.language
        and _is_model(figure.model, model, model_id)
        and figure.split in _splits(figure, dataset, split, language)
    ]
    known = parse_language(language)
    variety = None if known is None else known.variety
    if variety is None and len(found) == 1:
        return found[0]
    return next((figure for figure in found if figure.variety == variety), None)


def _is_model(name: str, model: str, model_id: str) -> bool:
    if _DIGEST.fullmatch(model_id):
        return model_id == MODEL_IDS[name]
    known = _words(name)
    return _words(model) in (known, f"whisper {known}", f"openai whisper {known}")


def _splits(figure: Published, dataset: str, split: str | None, language: str) -> Iterator[str]:
    """The split of a data set, if it is that of the figure."""
    named = _DATASETS[figure.dataset].match(_words(dataset))
    if named is None:
        return
    rest = _words(dataset)[named.end() :].split()
    if split is None and figure.split in rest:
        split = figure.split
    tag = " ".join(word for word in rest if word != split)
    of_language = parse_language(tag.replace(" ", "-")) if tag else None
    if split is not None and (not tag or (of_language and of_language.code == figure.language)):
        yield split


def _words(name: str) -> str:
    return " ".join(re.findall(r"[a-z0-9]+", name.lower()))
