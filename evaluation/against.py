"""A system beside its baseline, judged: what a report shows of it and a gate acts on."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import pyarrow as pa

from evaluation.comparison import Changed, compare, most_changed, most_worsened
from evaluation.gate import Rules, Verdict, judge, message
from evaluation.normalize import language_name
from evaluation.scoring import place

ENOUGH = 0.5
"""Share of a baseline's recordings below which a comparison says little about the rest."""

LISTED = 5
"""Recordings that an alarm names, and that a report shows of each language."""

_NO_METRIC = {"metric": None, "headline": False}

GROUP = ("dataset", "language", "task")

Group = tuple[str, str, str]
"""Data set, language, task."""


@dataclass(frozen=True)
class Coverage:
    """Recordings that a baseline has, and those of them that the candidate has, too."""

    baseline: int
    shared: int

    @property
    def whole(self) -> bool:
        """Whether the candidate has them all."""
        return self.shared == self.baseline


@dataclass(frozen=True)
class Against:
    """A candidate beside its baseline.

    Attributes:
        comparison: columns as in `comparison.COMPARISON`
        verdicts: of the rows that the rules look at
        alarms: a message per verdict that is an alarm and fails, and per baseline of whose
            recordings the candidate has none
        warnings: a message per alarm that only warns, and per baseline of whose recordings the
            candidate has few
        changed: per group, the recordings that changed most
        unguarded: groups without a recording that a baseline has, too
        coverage: group of the baseline → recordings
        systems: group → the baseline's and the candidate's model and options_key
        what: the baseline's name in the report
    """

    comparison: pa.Table
    verdicts: list[Verdict]
    alarms: list[str]
    warnings: list[str]
    changed: list[list[Changed]]
    unguarded: list[Group]
    coverage: Mapping[Group, Coverage]
    systems: Mapping[Group, tuple[str, str]]
    what: str


def against(
    baseline: pa.Table, candidate: pa.Table, rules: Rules, what: str = "the baseline"
) -> Against:
    """Compare and judge.

    Args:
        what: the baseline's name in the report
        baseline, candidate: columns as in `scoring.PAIRS`, one system per data set, language and
            task

    Raises:
        ValueError: a table cannot be used, or has a recording twice in a group
    """
    comparison = compare(baseline, candidate)
    verdicts = judge(comparison, rules)
    messages: dict[str, list[str]] = {"fail": [], "warn": []}
    coverage = _coverage(baseline, candidate)
    for group, one in coverage.items():
        dataset, language, task = group
        _, action = rules.of({"dataset": dataset, "language": language, "task": task, **_NO_METRIC})
        which = f"{language_name(language)} ({language}) of {dataset}, {task}"
        if action != "ignore" and not one.shared:
            messages[action].append(
                f"{which}: none of the {one.baseline} recordings of the baseline has a transcript "
                "to compare with it"
            )
        elif action != "ignore" and one.shared < ENOUGH * one.baseline:
            messages["warn"].append(
                f"{which}: only {one.shared} of the {one.baseline} recordings of the baseline were "
                "transcribed by what was used last: the others are not compared"
            )
    for verdict in verdicts:
        if verdict.alarm:
            group = _group(verdict.row)
            worst = most_worsened(baseline, candidate, group, verdict.row["metric"], LISTED)
            places = [place(one.candidate) for one in worst]
            messages[verdict.action].append(message(verdict, places))
    compared = {_group(row) for row in comparison.to_pylist()}
    before, after = _systems(baseline), _systems(candidate)
    return Against(
        comparison,
        verdicts,
        messages["fail"],
        messages["warn"],
        most_changed(baseline, candidate, LISTED),
        sorted(after.keys() - compared),
        coverage,
        {group: (before[group], after[group]) for group in sorted(compared)},
        what,
    )


def as_data(found: Against) -> dict[str, Any]:
    """The same for JSON: `comparison`, `alarms`, `warnings`, `unguarded` and `changed`."""
    changed = [
        {
            "dataset": one.candidate["dataset"],
            "language": one.candidate["language"],
            "task": one.candidate["task"],
            "id": one.candidate["recording_id"],
            "worse_by": one.change,
            "reference": one.candidate["reference"],
            "baseline": one.baseline["hypothesis"],
            "candidate": one.candidate["hypothesis"],
        }
        for group in found.changed
        for one in group
    ]
    return {
        "comparison": found.comparison.to_pylist(),
        "alarms": found.alarms,
        "warnings": found.warnings,
        "unguarded": found.unguarded,
        "changed": changed,
    }


def _coverage(baseline: pa.Table, candidate: pa.Table) -> dict[Group, Coverage]:
    columns = [*GROUP, "recording_id"]
    before, after = (
        {tuple(row.values()) for row in pairs.select(columns).to_pylist()}
        for pairs in (baseline, candidate)
    )
    every, shared = (Counter(key[:3] for key in keys) for keys in (before, before & after))
    return {group: Coverage(count, shared[group]) for group, count in sorted(every.items())}


def _systems(pairs: pa.Table) -> dict[Group, str]:
    columns = [*GROUP, "model", "options_key"]
    return {
        _group(row): ", options ".join(filter(None, [row["model"], row["options_key"][:8]]))
        for row in pairs.select(columns).to_pylist()
    }


def _group(row: Mapping[str, Any]) -> Group:
    return row["dataset"], row["language"], row["task"]
