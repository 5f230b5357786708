"""Absolute limits: what a figure must not be beyond, without a baseline and without statistics.

A comparison asks whether a system is worse than another one beyond chance, which a few recordings
cannot answer. A limit does not ask that: a word error rate of 100 % is a collapse on four
recordings, too.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import pyarrow as pa

from evaluation.gate.rules import Action, Rules
from evaluation.gate.wording import group_name, metric_name, recordings, shown_points
from evaluation.measure.metrics import ERROR_RATES, METRICS
from evaluation.pairs.table import group_of, group_rows

__all__ = ["Limited", "judge_limits", "limit_message"]

_SYSTEM = ("model_id", "options_key")

_ROUNDING = 1e-9
"""Points; a rate of 40 % is within a limit of 40, although 100 × 0.4 is not exactly that."""


@dataclass(frozen=True)
class Limited:
    """A score that has a limit.

    Attributes:
        row: of `SCORES`
        limit: points
        action: what happens if it is beyond
    """

    row: Mapping[str, Any]
    limit: float
    action: Action

    @property
    def is_beyond(self) -> bool:
        """Whether the score is worse than its limit."""
        metric = METRICS[self.row["metric"]]
        beyond = self.row["value"] * metric.points - self.limit
        return bool((beyond if metric.lower_is_better else -beyond) > _ROUNDING)

    @property
    def closes(self) -> bool:
        """Whether it closes the gate."""
        return self.is_beyond and self.action == "fail"


def judge_limits(scores: pa.Table, candidate: pa.Table, rules: Rules) -> list[Limited]:
    """Judge every score of the candidate that has a limit and is not ignored.

    Args:
        scores: columns as in `SCORES`, of any systems
        candidate: columns as in `PAIRS`, one system per group
    """
    systems = {_system(row) for row in group_rows(candidate, *_SYSTEM)}
    found = []
    for row in scores.to_pylist():
        if _system(row) not in systems:
            continue
        if row["metric"] in ERROR_RATES and row["reference_units"] == 0:
            continue  # nothing is said in any reference: there is no rate
        limit, action = rules.limit_of(row)
        if limit is not None and action != "ignore":
            found.append(Limited(row, limit, action))
    return found


def _system(row: Mapping[str, Any]) -> tuple[str, ...]:
    return (*group_of(row), *(row[name] for name in _SYSTEM))


def limit_message(limited: Limited) -> str:
    """A score beyond its limit, for people."""
    row, metric = limited.row, limited.row["metric"]
    value = shown_points(metric, row["value"] * METRICS[metric].points)
    side = "above" if METRICS[metric].lower_is_better else "below"
    return (
        f"{group_name(row)}: {metric_name(metric)} {value} is {side} its limit of "
        f"{shown_points(metric, limited.limit)} on {recordings(row)}"
    )
