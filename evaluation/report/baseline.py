"""The report's section on the baseline, as text."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from evaluation.gate.against import Against, group_label, summary
from evaluation.gate.coverage import Coverage
from evaluation.gate.judging import Verdict
from evaluation.measure.changed import Changed
from evaluation.pairs.table import Group, group_of, location
from evaluation.report.alignment import Cell, aligned
from evaluation.report.figures import NOTHING, change, compared_cells, p_value

__all__ = ["HEADINGS", "BaselineRow", "BaselineView", "ChangedView", "baseline_view", "figure_key"]

HEADINGS = {
    "dataset": "Data set",
    "language": "Language",
    "task": "Task",
    "metric": "Metric",
    "recordings": "Recordings",
    "before": "Baseline",
    "now": "Now",
    "difference": "Difference",
    "tolerated": "Tolerated",
    "p_of_difference": "p of a difference",
    "p_of_worse": "p of worse",
    "verdict": "Verdict",
}

_NOT_GATED = "not gated"


@dataclass(frozen=True)
class BaselineRow:
    """One metric of one language; `verdict` is also the class of its row in the page."""

    dataset: str
    language: str
    task: str
    metric: str
    recordings: str
    before: str
    now: str
    difference: str
    tolerated: str
    p_of_difference: str
    p_of_worse: str
    verdict: str


@dataclass(frozen=True)
class ChangedView:
    """A recording with a different outcome; translations have no cells."""

    location: str
    change: str
    changed: Changed
    before: list[Cell]
    now: list[Cell]


@dataclass(frozen=True)
class BaselineView:
    """Everything in the section."""

    title: str
    summary: str
    messages: list[str]
    systems: list[tuple[str, str, str]]  # the baseline's, the candidate's, and what is compared
    rows: list[BaselineRow]
    changed: list[tuple[str, bool, list[ChangedView]]]
    """Group, whether it has an alarm, and its recordings."""


def baseline_view(against: Against) -> BaselineView:
    """The section's text; figures with an alarm come first."""
    verdicts = {figure_key(verdict.row): verdict for verdict in against.verdicts}
    alarmed = {group_of(verdict.row) for verdict in against.verdicts if verdict.alarm}
    rows = [
        (row, verdicts.get(figure_key(row)))
        for row in against.comparison.to_pylist()
        if row["headline"] or (figure_key(row) in verdicts and row["difference"])
    ]
    rows.sort(key=lambda one: one[1] is None or not one[1].alarm)
    return BaselineView(
        title=f"Against {against.what}",
        summary=summary(against),
        messages=[
            *against.alarms,
            *against.undecided,
            *(f"warning: {text}" for text in against.warnings),
        ],
        systems=_systems(against),
        rows=[_row(row, verdict, against.coverage[group_of(row)]) for row, verdict in rows],
        changed=[_group(recordings, alarmed) for recordings in against.changed if recordings],
    )


def figure_key(row: Mapping[str, Any]) -> tuple[str, ...]:
    """What identifies a figure in a comparison: its group and metric."""
    return (*group_of(row), row["metric"])


def _systems(against: Against) -> list[tuple[str, str, str]]:
    """Pairs of systems, each with the languages it was compared in, by data set and task."""
    found: dict[tuple[str, str], dict[tuple[str, str], list[str]]] = {}
    for (dataset, language, task), systems in against.systems.items():
        found.setdefault(systems, {}).setdefault((dataset, task), []).append(language)
    return [
        (
            *systems,
            "; ".join(
                f"{dataset}, {task}: {', '.join(languages)}"
                for (dataset, task), languages in groups.items()
            ),
        )
        for systems, groups in found.items()
    ]


def _row(row: Mapping[str, Any], verdict: Verdict | None, coverage: Coverage) -> BaselineRow:
    language, task, metric, recordings, before, now, difference, of_difference = compared_cells(row)
    return BaselineRow(
        dataset=str(row["dataset"]),
        language=language,
        task=task,
        metric=metric,
        recordings=recordings if coverage.whole else f"{recordings} of {coverage.baseline}",
        before=before,
        now=now,
        difference=difference,
        tolerated=NOTHING if verdict is None else f"{verdict.margin:g}",
        p_of_difference=of_difference,
        p_of_worse=NOTHING if verdict is None else p_value(verdict.p_value),
        verdict=_NOT_GATED if verdict is None else verdict.outcome,
    )


def _group(
    recordings: Sequence[Changed], alarmed: Collection[Group]
) -> tuple[str, bool, list[ChangedView]]:
    group = group_of(recordings[0].candidate)
    return group_label(group), group in alarmed, [_changed(one) for one in recordings]


def _changed(one: Changed) -> ChangedView:
    return ChangedView(
        location=location(one.candidate),
        change=change(one),
        changed=one,
        before=aligned(one.baseline),
        now=aligned(one.candidate),
    )
