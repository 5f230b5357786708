"""Judges a comparison: did a figure get worse by more than is tolerated, and beyond chance?

A row of a comparison is an alarm if the candidate is worse by more than its margin and the p-value
of that (see `significance`) is below `alpha` after Holm's correction.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import pyarrow as pa

from evaluation.gate.rules import Action, Rules
from evaluation.gate.significance import holm, p_value_beyond, worse_by
from evaluation.languages import language_label
from evaluation.measure.metrics import METRICS

__all__ = ["BETTER_BELOW", "Outcome", "Verdict", "judge", "message"]

BETTER_BELOW = 0.05
"""P-value, not corrected, below which a figure that improved is called better."""

Outcome = Literal["worse", "better", "held", "too few"]
"""A verdict in a word; `too few` recordings have no p-value."""


@dataclass(frozen=True)
class Verdict:
    """A row of a comparison, judged.

    Attributes:
        row: of `COMPARISON`
        worse_by: points, negative if the candidate is better
        margin: points
        p_value: after Holm's correction; None if there are too few recordings for a p-value, or
            all of them came out as before
        alarm: whether it is worse by more than the margin and beyond chance
        action: what an alarm does
    """

    row: Mapping[str, Any]
    worse_by: float
    margin: float
    p_value: float | None
    alarm: bool
    action: Action

    @property
    def outcome(self) -> Outcome:
        """The verdict in a word."""
        if self.alarm:
            return "worse"
        if self.row["ci_low"] is None:
            return "too few"
        p_value = self.row["p_value"]
        if self.row["better"] and p_value is not None and p_value < BETTER_BELOW:
            return "better"
        return "held"


def judge(comparison: pa.Table, rules: Rules) -> list[Verdict]:
    """Judge every row that has a margin and is not ignored, in the order of the comparison."""
    judged: list[tuple[Mapping[str, Any], float, Action, float | None]] = []
    for row in comparison.to_pylist():
        margin, action = rules.of(row)
        if margin is not None and action != "ignore":
            judged.append((row, margin, action, p_value_beyond(margin, row)))
    corrected = iter(holm([p_value for *_, p_value in judged if p_value is not None]))
    verdicts = []
    for row, margin, action, p_value in judged:
        p_corrected = None if p_value is None else next(corrected)
        is_worse = worse_by(row) > margin
        alarm = p_corrected is not None and is_worse and p_corrected < rules.alpha
        verdicts.append(Verdict(row, worse_by(row), margin, p_corrected, alarm, action))
    return verdicts


def message(verdict: Verdict, worst: Sequence[str]) -> str:
    """An alarm for people: what got worse, by how much, how certain it is, and where to listen.

    Args:
        worst: where the recordings lie that got worse
    """
    row, metric = verdict.row, METRICS[verdict.row["metric"]]
    sign = 1 if metric.lower_is_better else -1
    low, high = sorted(sign * metric.points * row[end] for end in ("ci_low", "ci_high"))
    name, _, unit = metric.label.partition(" ")
    before, now = (
        f"{row[side] * metric.points:.2f} {unit}".rstrip() for side in ("baseline", "candidate")
    )
    listen = f"; listen to {', '.join(worst)}" if worst else ""
    return (
        f"{language_label(row['language'])} of {row['dataset']}, {row['task']}: "
        f"{name} {now} against {before}, worse by {verdict.worse_by:.2f} points "
        f"(95 % interval {low:.2f} to {high:.2f}, tolerated {verdict.margin:g}, "
        f"p {verdict.p_value:.2g} after correction) on {row['utterances']} recordings{listen}"
    )
