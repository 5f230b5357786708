"""Figures as text: scores, differences, p-values and recordings, the same in every format."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from evaluation.languages import language_label
from evaluation.measure.changed import Changed
from evaluation.measure.metrics import METRICS
from evaluation.measure.worst import RecordingErrors
from evaluation.pairs.table import tag_of
from evaluation.report.by_language import Score

__all__ = ["NOTHING", "amount", "change", "compared_cells", "number", "p_value"]

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
        str(row["utterances"]),
        f"{row['baseline'] * metric.points:.2f}",
        f"{row['candidate'] * metric.points:.2f}",
        difference,
        p_value(row["p_value"]),
    )


def amount(recording: RecordingErrors) -> str:
    """How many errors a recording has: `3 errors in 17`, or its chrF++."""
    if recording.chrf is not None:
        return f"chrF++ {recording.chrf:.1f}"
    return f"{recording.errors} {_errors(recording.errors)} in {recording.units}"


def change(changed: Changed) -> str:
    """How much a recording changed: `3 errors worse`, `2.5 chrF++ better`."""
    how = "worse" if changed.change > 0 else "better"
    size = abs(changed.change)
    if changed.candidate["task"] == "transcribe":
        return f"{size:g} {_errors(size)} {how}"
    return f"{size:.1f} chrF++ {how}"


def _errors(count: float) -> str:
    return "error" if count == 1 else "errors"
