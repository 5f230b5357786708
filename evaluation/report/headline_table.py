"""The table of headline figures: one row of text per language."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass

import pyarrow as pa

from evaluation.report.by_language import LanguageScores, SystemScores
from evaluation.report.figures import number
from evaluation.report.published import published

__all__ = ["HeadlineRow", "Hours", "headline_rows", "hours", "published_rate"]

Hours = Mapping[tuple[str, ...], float]
"""Data set, model_id, options_key and language → hours of audio."""

_KEY = ("dataset", "model_id", "options_key", "language")


@dataclass(frozen=True)
class HeadlineRow:
    """One language, everything as text."""

    label: str
    scores: LanguageScores
    error_metric: str
    error_rate: str
    published: str
    cer: str
    mer: str
    wil: str
    invented: str
    missing: str
    over_silence: str
    bleu: str
    chrf: str
    lid: str
    utterances: int
    hours: str
    counts: str


def headline_rows(system: SystemScores, hours: Hours) -> list[HeadlineRow]:
    """The rows of one model on one data set."""
    return [_row(system, language, hours) for language in system.languages]


def hours(pairs: pa.Table) -> Hours:
    """Hours of audio, if the pairs have the column `duration_s`.

    A recording that was transcribed and translated counts once.
    """
    if "duration_s" not in pairs.column_names:
        return {}
    columns = [*_KEY, "recording_id", "duration_s"]
    total: defaultdict[tuple[str, ...], float] = defaultdict(float)
    for *key, _, seconds in {tuple(row.values()) for row in pairs.select(columns).to_pylist()}:
        total[tuple(key)] += (seconds or 0) / 3600
    return total


def published_rate(language: LanguageScores, metric: str | None) -> float | None:
    """OpenAI's error rate for the language as a fraction; None if there is none that compares."""
    if metric is None:
        return None
    return published(language.dataset, language.model, language.language, metric)


def _row(system: SystemScores, language: LanguageScores, hours: Hours) -> HeadlineRow:
    scores, metric = language.scores, language.error_metric
    published = published_rate(language, metric)
    length = hours.get(tuple(getattr(language, name) for name in _KEY))
    return HeadlineRow(
        label=system.label(language),
        scores=language,
        error_metric=metric.upper() if metric else "",
        error_rate=number(scores.get(metric)) if metric else number(None),
        published="" if published is None else f"{published * 100:.1f}",
        cer=number(scores.get("cer"), interval=False),
        mer=number(scores.get("mer"), interval=False),
        wil=number(scores.get("wil"), interval=False),
        invented=number(scores.get("insertion_bursts"), interval=False),
        missing=number(scores.get("deletion_bursts"), interval=False),
        over_silence=number(scores.get("text_over_silence"), interval=False),
        bleu=number(scores.get("bleu")),
        chrf=number(scores.get("chrf")),
        lid=number(scores.get("lid_accuracy")),
        utterances=language.utterances,
        hours="" if length is None else f"{length:.2f}" if length < 10 else f"{length:.0f}",
        counts=_counts(language),
    )


def _counts(language: LanguageScores) -> str:
    score = language.scores.get(language.error_metric or "wer")
    if score is None:
        return ""
    return f"{score['substitutions']} / {score['deletions']} / {score['insertions']}"
