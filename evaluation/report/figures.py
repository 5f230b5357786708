"""Figures as text: scores, differences, p-values and recordings, the same in every format."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from evaluation.languages import language_label
from evaluation.measure.changed import Changed
from evaluation.measure.hallucinations import is_without_speech
from evaluation.measure.metrics import METRICS
from evaluation.measure.worst import RecordingErrors
from evaluation.pairs.table import tag_of
from evaluation.report.by_language import Score

__all__ = [
    "NOTHING",
    "amount",
    "change",
    "compared_cells",
    "drawn",
    "number",
    "number_of_some",
    "p_value",
    "pairs_cell",
]

NOTHING = "–"


def number(score: Score | None, *, interval: bool = True) -> str:
    """A score in points, 0 to 100, with one decimal: percent for rates.

    A dash if there is no score, or an error rate without any unit in the references.
    """
    if score is None or score["reference_units"] == 0:
        return NOTHING
    points = METRICS[score["metric"]].points
    value = f"{score['value'] * points:.1f}"
    if not interval or score["ci_low"] is None:
        return value
    return f"{value} ({score['ci_low'] * points:.1f}–{score['ci_high'] * points:.1f})"


def number_of_some(
    score: Score | None, of_task: Mapping[str, Score], *, interval: bool = True
) -> str:
    """As `number`, and how many recordings it is of if the task has more."""
    text = number(score, interval=interval)
    if score is None or score["utterances"] == of_task[score["task"]]["utterances"]:
        return text
    return f"{text}, {score['utterances']} recording{'s' * (score['utterances'] > 1)}"


def pairs_cell(of_task: Mapping[str, Score]) -> str:
    """How many references of a language were scored, and what the intervals draw.

    Args:
        of_task: a score of each task
    """
    cells = {task: _pairs(score) for task, score in of_task.items()}
    if len(set(cells.values())) < 2:
        return next(iter(cells.values()), NOTHING)
    return f"{cells['transcribe']}, translated {cells['translate']}"


def _pairs(score: Score) -> str:
    # Scores of an older lake do not say how many references there were.
    of = score["utterances"] if score["of_references"] is None else score["of_references"]
    return f"{score['utterances']} of {of}{drawn(score)}"


def drawn(row: Mapping[str, Any]) -> str:
    """The units that an interval draws, if these are not recordings: ` (4 speakers)`."""
    if row["sampling_unit"] in (None, "recording"):
        return ""
    return f" ({row['sampling_units']} {row['sampling_unit']}{'s' * (row['sampling_units'] > 1)})"


def p_value(value: float | None) -> str:
    """A p-value with three decimals; a dash if there is none."""
    return NOTHING if value is None else f"{value:.3f}"


def compared_cells(row: Mapping[str, Any]) -> tuple[str, ...]:
    """A row of a comparison as text.

    Returns:
        language, task, metric, utterances, baseline, candidate, difference, p-value
    """
    metric = METRICS[row["metric"]]
    difference = f"{row['difference'] * metric.points:+.2f}"
    if row["ci_low"] is not None:
        low, high = (row[end] * metric.points for end in ("ci_low", "ci_high"))
        difference += f" ({low:+.2f} to {high:+.2f})"
    return (
        language_label(tag_of(row)),
        row["task"],
        metric.label,
        f"{row['utterances']}{drawn(row)}",
        f"{row['baseline'] * metric.points:.2f}",
        f"{row['candidate'] * metric.points:.2f}",
        difference,
        p_value(row["p_value"]),
    )


def amount(recording: RecordingErrors) -> str:
    """How many errors a recording has: `3 errors in 17`, its chrF++, or `3 invented words`."""
    if recording.chrf is not None:
        return f"chrF++ {recording.chrf:.1f}"
    if is_without_speech(recording.pair["language"]):
        return f"{recording.errors} invented word{'s' * (recording.errors != 1)}"
    return f"{recording.errors} {_errors(recording.errors)} in {recording.units}"


def change(changed: Changed) -> str:
    """How much a recording changed: `3 errors worse`, `2.5 chrF++ better`."""
    how = "worse" if changed.change > 0 else "better"
    size = abs(changed.change)
    if is_without_speech(changed.candidate["language"]):
        return f"{size:g} invented word{'s' * (size != 1)} {how}"
    if changed.candidate["task"] == "transcribe":
        return f"{size:g} {_errors(size)} {how}"
    return f"{size:.1f} chrF++ {how}"


def _errors(count: float) -> str:
    return "error" if count == 1 else "errors"
