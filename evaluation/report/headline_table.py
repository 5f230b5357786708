"""The table of headline figures: one row of text per language."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass

import pyarrow as pa

from evaluation.pairs.table import group_rows, tag_of
from evaluation.report.by_language import LanguageScores, SystemScores
from evaluation.report.figures import number, number_of_some, pairs_cell
from evaluation.report.published import comparable

__all__ = ["HeadlineRow", "Hours", "headline_rows", "hours"]

Hours = Mapping[tuple[str, ...], float]
"""Data set, model_id, options_key and tag of the language → hours of audio."""

_KEY = ("dataset", "model_id", "options_key", "language")


@dataclass(frozen=True)
class HeadlineRow:
    """One language, everything as text."""

    label: str
    scores: LanguageScores
    error_metric: str
    error_rate: str
    published: str
    comparable: str
    cer: str
    cer_nfc: str
    wer_raw: str
    leaderboard: str
    mer: str
    wil: str
    invented: str
    missing: str
    over_silence: str
    bleu: str
    chrf: str
    lid: str
    pairs: str
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
    rows = group_rows(pairs, "model_id", "options_key", "recording_id", "duration_s")
    recordings = {
        (row["dataset"], row["model_id"], row["options_key"], tag_of(row), row["recording_id"]): (
            row["duration_s"]
        )
        for row in rows
    }
    total: defaultdict[tuple[str, ...], float] = defaultdict(float)
    for (*key, _), seconds in recordings.items():
        if seconds is not None:
            total[tuple(key)] += seconds / 3600
    return total


def _row(system: SystemScores, language: LanguageScores, hours: Hours) -> HeadlineRow:
    scores, metric = language.scores, language.error_metric
    compared = comparable(language)
    length = hours.get(tuple(getattr(language, name) for name in _KEY))
    return HeadlineRow(
        label=system.label(language),
        scores=language,
        error_metric=metric.upper() if metric else "",
        error_rate=number(scores.get(metric)) if metric else number(None),
        published="" if compared is None else f"{compared.percent:.1f}",
        comparable="" if compared is None else number(compared.score, interval=False),
        cer=number(scores.get("cer"), interval=False),
        cer_nfc=number(scores.get("cer_nfc"), interval=False),
        wer_raw=number(scores.get("wer_raw"), interval=False),
        leaderboard=number(scores.get("wer_leaderboard"), interval=False),
        mer=number(scores.get("mer"), interval=False),
        wil=number(scores.get("wil"), interval=False),
        invented=number(scores.get("insertion_bursts"), interval=False),
        missing=number(scores.get("deletion_bursts"), interval=False),
        over_silence=number(scores.get("text_over_silence"), interval=False),
        bleu=number(scores.get("bleu")),
        chrf=number(scores.get("chrf")),
        lid=number_of_some(scores.get("lid_accuracy"), language.of_task),
        pairs=pairs_cell(language.of_task),
        hours="" if length is None else f"{length:.2f}" if length < 10 else f"{length:.0f}",
        counts=_counts(language),
    )


def _counts(language: LanguageScores) -> str:
    score = language.scores.get(language.error_metric or "wer")
    if score is None:
        return ""
    return f"{score['substitutions']} / {score['deletions']} / {score['insertions']}"
