"""What a report shows of a system beside its baseline, as text."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from evaluation.against import Against
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

    label: str
    place: str
    amount: str
    changed: Changed
    before: list[Cell]
    now: list[Cell]


@dataclass(frozen=True)
class BaselineView:
    """Everything of the report's section on the baseline."""

    summary: str
    messages: list[str]
    systems: list[tuple[str, str, str]]
    unguarded: list[str]
    rows: list[BaselineRow]
    changed: list[ChangedView]


def baseline_view(against: Against) -> BaselineView:
    """Prepare it."""
    judged = {_key(verdict.row): verdict for verdict in against.verdicts}
    changes = [one for group in against.changed for one in group]
    return BaselineView(
        summary=summary(against),
        messages=[*against.alarms, *(f"warning: {text}" for text in against.warnings)],
        systems=[(_label(*group), before, now) for group, (before, now) in against.systems.items()],
        unguarded=[_label(*group) for group in against.unguarded],
        rows=[
            _row(row, judged.get(_key(row)))
            for row in against.comparison.to_pylist()
            if _key(row) in judged or row["headline"]
        ],
        changed=[_changed(one) for one in changes],
    )


def summary(against: Against) -> str:
    """One sentence: how many languages are worse, and how many have no baseline."""
    worse = len(against.alarms) + len(against.warnings)
    text = (
        f"{worse} of {len(against.verdicts)} figures are worse than their baseline beyond what "
        "is tolerated and beyond chance."
    )
    if against.unguarded:
        text += f" Without a baseline: {', '.join(_label(*group) for group in against.unguarded)}."
    return text


def _key(row: Mapping[str, object]) -> tuple[object, ...]:
    return tuple(row[name] for name in ("dataset", "language", "task", "metric"))


def _label(dataset: str, language: str, task: str) -> str:
    return f"{dataset}, {language_name(language)} ({language}), {task}"


def _row(row: Mapping[str, object], verdict: Verdict | None) -> BaselineRow:
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
        recordings,
        before,
        now,
        difference,
        tolerated,
        p_value,
        found,
    )


def _verdict(verdict: Verdict, row: Mapping[str, object]) -> str:
    if verdict.alarm:
        return "worse"
    if verdict.p_value is None:
        return "too few"
    p_value = row["p_value"]
    if row["better"] and isinstance(p_value, float) and p_value < 0.05:
        return "better"
    return "held"


def _changed(one: Changed) -> ChangedView:
    pair = one.candidate
    transcribed = pair["task"] == "transcribe"
    unit = ("error" + "s" * (abs(one.change) != 1)) if transcribed else "chrF"
    amount = f"{abs(one.change):g}" if transcribed else f"{abs(one.change):.1f}"
    how = "worse" if one.change > 0 else "better"
    return ChangedView(
        label=_label(pair["dataset"], pair["language"], pair["task"]),
        place=place(pair),
        amount=f"{amount} {unit} {how}",
        changed=one,
        before=aligned(one.baseline),
        now=aligned(pair),
    )
