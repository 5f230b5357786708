"""What a report shows of a system beside its baseline, as text."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from evaluation.against import Against, Coverage
from evaluation.aligned import Cell, aligned
from evaluation.comparison import Changed
from evaluation.gate import Verdict
from evaluation.normalize import language_name
from evaluation.scoring import place
from evaluation.summary import compared_cells

BASELINE_HEADINGS = {
    "dataset": "Data set",
    "language": "Language",
    "task": "Task",
    "metric": "Metric",
    "recordings": "Recordings",
    "before": "Baseline",
    "now": "Now",
    "difference": "Difference",
    "tolerated": "Tolerated",
    "p_value": "p",
    "verdict": "Verdict",
}


@dataclass(frozen=True)
class BaselineRow:
    """One metric of one language beside its baseline; `verdict` is also its class in the page."""

    dataset: str
    language: str
    task: str
    metric: str
    recordings: str
    before: str
    now: str
    difference: str
    tolerated: str
    p_value: str
    verdict: str


@dataclass(frozen=True)
class ChangedView:
    """A recording that came out differently; the cells are empty for translations."""

    place: str
    amount: str
    changed: Changed
    before: list[Cell]
    now: list[Cell]


@dataclass(frozen=True)
class BaselineView:
    """Everything of the report's section on the baseline."""

    title: str
    summary: str
    messages: list[str]
    systems: list[tuple[str, str, str]]  # baseline's, candidate's, and what they were compared on
    rows: list[BaselineRow]
    changed: list[tuple[str, bool, list[ChangedView]]]
    """Language, whether it is an alarm, and its recordings."""


def baseline_view(against: Against) -> BaselineView:
    """Prepare it."""
    judged = {_key(verdict.row): verdict for verdict in against.verdicts}
    alarmed = {_group(verdict.row) for verdict in against.verdicts if verdict.alarm}
    rows = [
        (row, judged.get(_key(row)))
        for row in against.comparison.to_pylist()
        if row["headline"] or (_key(row) in judged and row["difference"])
    ]
    rows.sort(key=lambda one: one[1] is None or not one[1].alarm)  # alarms first
    return BaselineView(
        title=f"Against {against.what}",
        summary=summary(against),
        messages=[*against.alarms, *(f"warning: {text}" for text in against.warnings)],
        systems=_systems(against),
        rows=[_row(row, verdict, against.coverage[_group(row)]) for row, verdict in rows],
        changed=[
            (
                _label(*_group(group[0].candidate)),
                _group(group[0].candidate) in alarmed,
                [_changed(one) for one in group],
            )
            for group in against.changed
            if group
        ],
    )


def _systems(against: Against) -> list[tuple[str, str, str]]:
    """Systems, with the languages in which they were compared, by data set and task."""
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


def summary(against: Against) -> str:
    """How many figures are worse, and what has no baseline."""
    worse = sum(verdict.alarm for verdict in against.verdicts)
    text = (
        f"{worse} of {len(against.verdicts)} figures are worse than {against.what} beyond what "
        "is tolerated and beyond chance."
    )
    if against.unguarded:
        text += f" Without a baseline: {'; '.join(_label(*group) for group in against.unguarded)}."
    return text


def _key(row: Mapping[str, Any]) -> tuple[object, ...]:
    return tuple(row[name] for name in ("dataset", "language", "task", "metric"))


def _group(row: Mapping[str, Any]) -> tuple[str, str, str]:
    return row["dataset"], row["language"], row["task"]


def _label(dataset: str, language: str, task: str) -> str:
    return f"{dataset}, {language_name(language)} ({language}), {task}"


def _row(row: Mapping[str, Any], verdict: Verdict | None, coverage: Coverage) -> BaselineRow:
    language, task, metric, recordings, before, now, difference, p_value = compared_cells(row)
    if verdict is None:
        found, tolerated = "not gated", "–"
    else:
        tolerated = f"{verdict.margin:g}"
        p_value = "–" if verdict.p_value is None else f"{verdict.p_value:.3f}"
        found = _verdict(verdict, row)
    return BaselineRow(
        str(row["dataset"]),
        language,
        task,
        metric,
        recordings if coverage.whole else f"{recordings} of {coverage.baseline}",
        before,
        now,
        difference,
        tolerated,
        p_value,
        found,
    )


def _verdict(verdict: Verdict, row: Mapping[str, Any]) -> str:
    if verdict.alarm:
        return "worse"
    if row["ci_low"] is None:
        return "too few"
    p_value = row["p_value"]
    if row["better"] and isinstance(p_value, float) and p_value < 0.05:
        return "better"
    return "held"


def _changed(one: Changed) -> ChangedView:
    pair = one.candidate
    transcribed = pair["task"] == "transcribe"
    unit = ("error" + "s" * (abs(one.change) != 1)) if transcribed else "chrF++"
    amount = f"{abs(one.change):g}" if transcribed else f"{abs(one.change):.1f}"
    how = "worse" if one.change > 0 else "better"
    return ChangedView(
        place=place(pair),
        amount=f"{amount} {unit} {how}",
        changed=one,
        before=aligned(one.baseline),
        now=aligned(pair),
    )
