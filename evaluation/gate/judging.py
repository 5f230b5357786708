"""Judges a comparison: did a figure get worse by more than is tolerated, and beyond chance?

A row of a comparison is an alarm if the candidate is worse by more than its margin and the p-value
of that (see `significance`) is below `alpha` after Holm's correction.

No alarm is not always good news. If the figure has so few recordings that not even the clearest
loss would have been an alarm, nothing was tested, and the verdict says that.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import pyarrow as pa

from evaluation.gate.rules import Action, Rules
from evaluation.gate.significance import (
    counted_tests,
    holm,
    p_value_beyond,
    smallest_p_value_beyond,
    units_needed,
    worse_by,
)
from evaluation.gate.wording import group_name, metric_name, recordings, shown_points
from evaluation.measure.metrics import METRICS

__all__ = ["BETTER_BELOW", "TOO_FEW", "Outcome", "Verdict", "judge", "message", "too_few_message"]

BETTER_BELOW = 0.05
"""P-value, not corrected, below which a figure that improved is called better."""

TOO_FEW: Literal["too few to tell"] = "too few to tell"

Outcome = Literal["worse", "better", "held", "too few to tell"]
"""A verdict in a word. `held`: an alarm was possible and there is none. `too few to tell`: with so
few recordings, or speakers, no loss could have been told from chance."""


@dataclass(frozen=True)
class Verdict:
    """A row of a comparison, judged.

    Attributes:
        row: of `COMPARISON`
        worse_by: points, negative if the candidate is better
        margin: points
        p_value: of being worse by more than the margin, after Holm's correction; None if no alarm
            is possible, or all recordings came out as before
        alarm: whether it is worse by more than the margin and beyond chance
        action: what the rules do about its outcome, if that is `worse` or `too few to tell`
        tests: figures that the correction counts
        smallest: the smallest p-value that its units can give after the correction
        needed: units with which an alarm is possible; None if it is
    """

    row: Mapping[str, Any]
    worse_by: float
    margin: float
    p_value: float | None
    alarm: bool
    action: Action
    tests: int
    smallest: float
    needed: int | None

    @property
    def outcome(self) -> Outcome:
        """The verdict in a word."""
        if self.alarm:
            return "worse"
        p_value = self.row["p_value"]
        if self.row["better"] and p_value is not None and p_value < BETTER_BELOW:
            return "better"
        return "held" if self.needed is None else TOO_FEW

    @property
    def closes(self) -> bool:
        """Whether it closes the gate."""
        return self.outcome in ("worse", TOO_FEW) and self.action == "fail"


def judge(comparison: pa.Table, rules: Rules) -> list[Verdict]:
    """Judge every row that has a margin and is not ignored, in the order of the comparison."""
    judged: list[tuple[Mapping[str, Any], float, Action, float | None]] = []
    for row in comparison.to_pylist():
        margin, action = rules.of(row)
        if margin is not None and action != "ignore":
            judged.append((row, margin, action, p_value_beyond(margin, row)))
    possible = [smallest_p_value_beyond(row["sampling_units"]) for row, *_ in judged]
    changed = [
        smallest
        for smallest, (*_, p_value) in zip(possible, judged, strict=True)
        if p_value is not None
    ]
    tests = counted_tests(changed, rules.alpha)
    can_alarm = [smallest * tests < rules.alpha for smallest in possible]
    corrected = iter(
        holm(
            [
                p_value
                for can, (*_, p_value) in zip(can_alarm, judged, strict=True)
                if can and p_value is not None
            ]
        )
    )
    verdicts = []
    for (row, margin, action, p_value), smallest, can in zip(
        judged, possible, can_alarm, strict=True
    ):
        p_corrected = next(corrected) if can and p_value is not None else None
        is_worse = worse_by(row) > margin
        alarm = p_corrected is not None and is_worse and p_corrected < rules.alpha
        needed = None
        if not can:
            others = changed.copy()
            if p_value is not None:
                others.remove(smallest)
            needed = units_needed(others, rules.alpha)
        verdicts.append(
            Verdict(
                row=row,
                worse_by=worse_by(row),
                margin=margin,
                p_value=p_corrected,
                alarm=alarm,
                action=action if can else rules.action_if_too_few(row),
                tests=tests,
                smallest=min(1.0, smallest * tests),
                needed=needed,
            )
        )
    return verdicts


def message(verdict: Verdict, worst: Sequence[str]) -> str:
    """An alarm for people: what got worse, by how much, how certain it is, and where to listen.

    Args:
        worst: where the recordings lie that got worse
    """
    row, metric = verdict.row, METRICS[verdict.row["metric"]]
    sign = 1 if metric.lower_is_better else -1
    low, high = sorted(sign * metric.points * row[end] for end in ("ci_low", "ci_high"))
    listen = f"; listen to {', '.join(worst)}" if worst else ""
    return (
        f"{group_name(row)}: {_values(row)}, worse by {verdict.worse_by:.2f} points (95 % interval "
        f"{low:.2f} to {high:.2f}, tolerated {verdict.margin:g}; p of being worse by more than "
        f"that {verdict.p_value:.2g}, {_corrected(verdict)}) on {recordings(row)}{listen}"
    )


def too_few_message(verdicts: Sequence[Verdict], alpha: float) -> str:
    """Says of the figures of one group that no loss could have been told from chance.

    Args:
        verdicts: of one group, `too few to tell`; at least one
    """
    first = min(verdicts, key=lambda verdict: verdict.row["sampling_units"])
    figures = "; ".join(_values(verdict.row) for verdict in verdicts)
    return (
        f"{group_name(first.row)}: too few to tell: {figures} on {recordings(first.row)}. The "
        f"smallest p that these can give is {first.smallest:.2g} ({_corrected(first)}), and it "
        f"must be below {alpha:g}: that needs {first.needed} {first.row['sampling_unit']}s. A "
        "limit, such as max_wer, needs none"
    )


def _values(row: Mapping[str, Any]) -> str:
    """`WER 14.00 % against 10.00 %`."""
    metric, points = row["metric"], METRICS[row["metric"]].points
    before, now = (shown_points(metric, row[side] * points) for side in ("baseline", "candidate"))
    return f"{metric_name(metric)} {now} against {before}"


def _corrected(verdict: Verdict) -> str:
    figures = "figure" if verdict.tests == 1 else "figures"
    return f"one direction, corrected for {verdict.tests} {figures}"
