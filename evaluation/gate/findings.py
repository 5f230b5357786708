"""Everything that the rules of a gate say of an evaluation: the comparison, and the limits."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import pyarrow as pa

from evaluation.gate.against import Against, against, summary
from evaluation.gate.limits import Limited, judge_limits, limit_message
from evaluation.gate.outcomes import outcome_rows
from evaluation.gate.rules import Rules
from evaluation.measure.bootstrap import RESAMPLES
from evaluation.measure.paired import FEW
from evaluation.pairs.table import tag_of

__all__ = ["P_VALUES", "Findings", "as_data", "find", "findings_summary", "limits_summary"]

P_VALUES = (
    "p of a difference: the probability of one this large, in either direction, if the systems "
    "were equal; of this figure alone. p of worse: the probability of being this much worse if the "
    "figure were worse by what is tolerated, in one direction, corrected for the number of figures "
    "judged. It may be the smaller one for two reasons only: it counts one direction, which halves "
    f"it, and for {FEW} recordings (or speakers) or more it comes from a normal distribution, "
    f"while p of a difference is never below 1/{RESAMPLES + 1}."
)
"""What the two p-values beside a figure mean, and why the corrected one may be the smaller."""


@dataclass(frozen=True)
class Findings:
    """What the rules say.

    Attributes:
        against: the comparison with the baseline; None if there is none
        limits: the scores that have a limit
        rows: what the table `verdicts` keeps, see `outcome_rows`
        worse: a message for each score beyond a limit, then as `Against.alarms`
        undecided: as `Against.undecided`
        warnings: a message for everything that only warns
    """

    against: Against | None
    limits: list[Limited]
    rows: list[dict[str, Any]]
    worse: list[str]
    undecided: list[str]
    warnings: list[str]

    @property
    def alarms(self) -> list[str]:
        """A message for everything that closes the gate."""
        return self.worse + self.undecided

    def messages(self) -> dict[str, list[str]]:
        """All messages by their kind, for a terminal."""
        return {"worse": self.worse, "undecided": self.undecided, "warning": self.warnings}


def find(
    scores: pa.Table,
    baseline: pa.Table,
    candidate: pa.Table,
    rules: Rules,
    what: str = "the baseline",
) -> Findings:
    """Compare and judge.

    Args:
        scores: columns as in `SCORES`; those of the candidate are held against the limits
        baseline, candidate: columns as in `PAIRS`, one system per group
        what: the baseline's name in the report

    Raises:
        ValueError: a table cannot be used, or has a recording twice in a group
    """
    found = None
    if baseline.num_rows and candidate.num_rows:
        found = against(baseline, candidate, rules, what)
    limits = judge_limits(scores, candidate, rules)
    worse = [limit_message(one) for one in limits if one.closes]
    warnings = [limit_message(one) for one in limits if one.is_beyond and not one.closes]
    if rules.has_limits and not limits:
        warnings.append(
            "no score has a limit: those in gate.toml are for other metrics, languages or data sets"
        )
    return Findings(
        against=found,
        limits=limits,
        rows=outcome_rows(baseline, candidate, found, limits, rules),
        worse=worse + (found.alarms if found else []),
        undecided=found.undecided if found else [],
        warnings=warnings + (found.warnings if found else []),
    )


def findings_summary(found: Findings) -> str:
    """A sentence about the comparison, and one about the limits; empty without both."""
    parts = [] if found.against is None else [summary(found.against)]
    if found.limits:
        parts.append(limits_summary(found.limits))
    return " ".join(parts)


def limits_summary(limits: Sequence[Limited]) -> str:
    """How many of the figures with a limit are beyond it."""
    beyond = sum(one.is_beyond for one in limits)
    are = "is beyond its limit" if beyond == 1 else "are beyond their limits"
    return f"{beyond} of {len(limits)} figures with a limit {are}."


def as_data(found: Findings) -> dict[str, Any]:
    """The result for JSON.

    Returns:
        `comparison` (its `p_value` is `p of a difference`), `verdicts` (theirs is `p of worse`),
        `p_values` (what these are), `alarms`, `warnings`, `unguarded` and `changed`
    """
    compared = found.against
    changed = [
        {
            "dataset": one.candidate["dataset"],
            "language": tag_of(one.candidate),
            "task": one.candidate["task"],
            "id": one.candidate["recording_id"],
            "worse_by": one.change,
            "reference": one.candidate["reference"],
            "baseline": one.baseline["hypothesis"],
            "candidate": one.candidate["hypothesis"],
        }
        for group in (compared.changed if compared else [])
        for one in group
    ]
    return {
        "comparison": compared.comparison.to_pylist() if compared else [],
        "verdicts": found.rows,
        "p_values": P_VALUES,
        "alarms": found.alarms,
        "warnings": found.warnings,
        "unguarded": compared.unguarded if compared else [],
        "changed": changed,
    }
