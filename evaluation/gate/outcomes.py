"""What the rules of a gate said about one evaluation, as rows that a lake keeps."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import pyarrow as pa

from evaluation.gate.against import Against
from evaluation.gate.limits import Limited
from evaluation.gate.rules import Rules
from evaluation.pairs.table import Group, group_columns, group_of, group_rows

__all__ = ["outcome_rows"]

_SYSTEM = ("model_id", "model", "options_key")


def outcome_rows(
    baseline: pa.Table,
    candidate: pa.Table,
    found: Against | None,
    limits: Sequence[Limited],
    rules: Rules,
) -> list[dict[str, Any]]:
    """A row for each figure that was compared, for each limit, and for each group without either.

    Args:
        baseline, candidate: the pairs that were compared
        found: their comparison by the rules; None if there is no baseline at all
        limits: the scores that have one

    Returns:
        columns of the table `verdicts`. A group without a baseline, or of which too few
        recordings could be compared, has a row without a metric. What the rules ignore has none.
    """
    before, after = _systems(baseline), _systems(candidate)
    rows = list(_without_baseline(before, after))
    if found is not None:
        rows += _lacking(found, rules)
        rows += _judged(found)
    rows += _limited(limits)
    return [
        {
            **after.get(group_of(row), {}),
            **{f"baseline_{name}": value for name, value in before.get(group_of(row), {}).items()},
            **row,
        }
        for row in rows
    ]


def _systems(pairs: pa.Table) -> Mapping[Group, dict[str, str]]:
    """The system of each group."""
    return {
        group_of(row): {name: row[name] for name in _SYSTEM} for row in group_rows(pairs, *_SYSTEM)
    }


def _without_baseline(
    before: Mapping[Group, object], after: Mapping[Group, object]
) -> Iterator[dict[str, Any]]:
    for group in sorted(after.keys() - before.keys()):
        yield group_columns(group) | {
            "utterances": 0,
            "baseline_utterances": 0,
            "verdict": "no baseline",
            "closes": False,
        }


def _lacking(found: Against, rules: Rules) -> Iterator[dict[str, Any]]:
    """Groups of the baseline of which the candidate has no or few recordings."""
    for group, coverage in found.coverage.items():
        action = rules.action_for(*group)
        if coverage.lack and action != "ignore":
            yield group_columns(group) | {
                "utterances": coverage.shared,
                "baseline_utterances": coverage.baseline,
                "verdict": coverage.lack,
                "action": action if coverage.lack == "missing" else "warn",
                "closes": coverage.lack == "missing" and action == "fail",
            }


def _judged(found: Against) -> Iterator[dict[str, Any]]:
    for verdict in found.verdicts:
        row, group = verdict.row, group_of(verdict.row)
        yield group_columns(group) | {
            "metric": row["metric"],
            "utterances": row["utterances"],
            "baseline_utterances": found.coverage[group].baseline,
            "baseline": row["baseline"],
            "value": row["candidate"],
            "difference": row["difference"],
            "ci_low": row["ci_low"],
            "ci_high": row["ci_high"],
            "p_value": verdict.p_value,
            "margin": verdict.margin,
            "sampling_unit": row["sampling_unit"],
            "sampling_units": row["sampling_units"],
            "needed_units": verdict.needed,
            "verdict": verdict.outcome,
            "action": verdict.action,
            "closes": verdict.closes,
        }


def _limited(limits: Sequence[Limited]) -> Iterator[dict[str, Any]]:
    for limited in limits:
        row = limited.row
        yield group_columns(group_of(row)) | {
            "metric": row["metric"],
            "utterances": row["utterances"],
            "baseline_utterances": 0,
            "value": row["value"],
            "limit_points": limited.limit,
            "sampling_unit": row["sampling_unit"],
            "sampling_units": row["sampling_units"],
            "verdict": "beyond limit" if limited.is_beyond else "within limit",
            "action": limited.action,
            "closes": limited.closes,
        }
