"""A system beside its baseline, judged: what a report shows of it and a gate acts on."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import pyarrow as pa

from evaluation.comparison import Changed, compare, most_changed, most_worsened
from evaluation.gate import Rules, Verdict, judge, message
from evaluation.scoring import place

LISTED = 5
"""Recordings that an alarm names, and that a report shows of each language."""

Group = tuple[str, str, str]
"""Data set, language, task."""


@dataclass(frozen=True)
class Against:
    """A candidate beside its baseline.

    Attributes:
        comparison: columns as in `comparison.COMPARISON`
        verdicts: of the rows that the rules look at
        alarms: a message per verdict that is an alarm and fails
        warnings: a message per alarm that only warns
        changed: per group, the recordings that changed most
        unguarded: groups without a recording that a baseline has, too
        systems: group → the baseline's and the candidate's model and options_key
    """

    comparison: pa.Table
    verdicts: list[Verdict]
    alarms: list[str]
    warnings: list[str]
    changed: list[list[Changed]]
    unguarded: list[Group]
    systems: Mapping[Group, tuple[str, str]]


def against(baseline: pa.Table, candidate: pa.Table, rules: Rules) -> Against:
    """Compare and judge.

    Args:
        baseline, candidate: columns as in `scoring.PAIRS`, one system per data set, language and
            task

    Raises:
        ValueError: a table cannot be used, or has a recording twice in a group
    """
    comparison = compare(baseline, candidate)
    verdicts = judge(comparison, rules)
    messages: dict[str, list[str]] = {"fail": [], "warn": []}
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
        {group: (before[group], after[group]) for group in sorted(compared)},
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


def _systems(pairs: pa.Table) -> dict[Group, str]:
    columns = ["dataset", "language", "task", "model", "options_key"]
    return {
        _group(row): f"{row['model']}, options {row['options_key'][:8]}"
        for row in pairs.select(columns).to_pylist()
    }


def _group(row: Mapping[str, Any]) -> Group:
    return row["dataset"], row["language"], row["task"]
