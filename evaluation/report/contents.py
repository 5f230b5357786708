"""Everything that a report shows, independent of its format."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

import pyarrow as pa
from markupsafe import Markup

from evaluation.measure.hallucinations import is_without_speech
from evaluation.measure.scoring import Evaluation
from evaluation.measure.worst import RecordingErrors
from evaluation.pairs.table import tag_of
from evaluation.report.alignment import Cell, aligned
from evaluation.report.averages import average_rows
from evaluation.report.bars import bleu_chart, error_chart
from evaluation.report.by_language import SystemScores, by_system
from evaluation.report.headline_table import HeadlineRow, headline_rows, hours
from evaluation.report.matrices import Matrix, matrices
from evaluation.report.trends import system_trends

__all__ = ["WORST_PER_LANGUAGE", "Facts", "Section", "Worst", "sections", "signatures"]

WORST_PER_LANGUAGE = 3
"""Recordings to listen to, per language and task."""


@dataclass(frozen=True)
class Facts:
    """The head of a report.

    Attributes:
        title: of the page
        created_at: when the scores were made
        details: label → value, in the order to show: model, options, versions …
    """

    title: str
    created_at: datetime
    details: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Worst:
    """The recordings of one language and task to listen to."""

    label: str
    task: str
    recordings: list[tuple[RecordingErrors, list[Cell]]]


@dataclass(frozen=True)
class Section:
    """Everything about one model on one data set."""

    system: SystemScores
    rows: list[HeadlineRow]
    averages: list[tuple[str, ...]]
    error_chart: Markup | None
    bleu_chart: Markup | None
    trends: list[tuple[str, Markup]]
    matrices: list[Matrix]
    worst: list[Worst]
    has_hours: bool
    has_published: bool
    has_transcripts: bool
    has_translations: bool
    has_detection: bool
    has_silence: bool
    has_leaderboard: bool


def sections(evaluation: Evaluation, history: pa.Table | None = None) -> list[Section]:
    """One section for each model on each data set.

    Args:
        history: scores of this and earlier evaluations, as from `trends.history`; without it there
            are no trends
    """
    audio = hours(evaluation.pairs)
    found = []
    for index, system in enumerate(by_system(evaluation.scores)):
        rows = headline_rows(system, audio)
        measured = {metric for language in system.languages for metric in language.scores}
        found.append(
            Section(
                system=system,
                rows=rows,
                averages=average_rows(system, evaluation.averages),
                error_chart=error_chart(system, f"errors-{index}"),
                bleu_chart=bleu_chart(system, f"bleu-{index}"),
                trends=system_trends(system, history, f"trend-{index}"),
                matrices=matrices(system, evaluation.confusion),
                worst=_worst(system, evaluation.worst),
                has_hours=any(row.hours for row in rows),
                has_published=any(row.published for row in rows),
                has_transcripts="wer" in measured,
                has_translations="bleu" in measured,
                has_detection="lid_accuracy" in measured,
                has_silence="text_over_silence" in measured,
                has_leaderboard="wer_leaderboard" in measured,
            )
        )
    return found


def _worst(system: SystemScores, groups: list[list[RecordingErrors]]) -> list[Worst]:
    labels = {
        (language.language, language.options_key): system.label(language)
        for language in system.languages
    }
    found = []
    for group in groups:
        pair = group[0].pair if group else {}
        if pair and is_without_speech(pair["language"]):
            continue
        if (pair.get("dataset"), pair.get("model_id")) == (system.dataset, system.model_id):
            found.append(
                Worst(
                    label=labels[tag_of(pair), pair["options_key"]],
                    task=pair["task"],
                    recordings=[(recording, aligned(recording.pair)) for recording in group],
                )
            )
    return found


def signatures(scores: pa.Table) -> list[tuple[str, str, str]]:
    """Metric, the languages that were measured in the same way, and the signature."""
    languages: dict[tuple[str, str], set[str]] = {}
    for row in scores.to_pylist():
        languages.setdefault((row["metric"], row["signature"]), set()).add(tag_of(row))
    return [
        (metric, ", ".join(sorted(named)), signature)
        for (metric, signature), named in languages.items()
    ]
