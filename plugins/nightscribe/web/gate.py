"""The gate of an evaluation in words."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from nightscribe.web.snapshot import Snapshots

__all__ = ["Gate", "gate_of"]

# An evaluation by an earlier version has scores and no verdicts.
_GATES = """SELECT newest.score_id, newest.created_at, g.* EXCLUDE (score_id, created_at, run_id)
FROM (SELECT score_id, max(sequence) AS sequence, max(created_at) AS created_at FROM scores
      WHERE score_id = coalesce($score_id, score_id)
      GROUP BY score_id
      ORDER BY sequence DESC NULLS LAST, created_at DESC, score_id LIMIT 1) AS newest
LEFT JOIN gates AS g USING (score_id)"""

_NO_BASELINE = "The command “nightscribe baseline set” makes the present transcripts the baseline."
_TOO_FEW = (
    "Nothing was tested: no group has enough recordings to tell a loss from chance. Give them more "
    "recordings, or a limit such as max_wer in gate.toml."
)
_DEFAULT_RULES = (
    "Judged by the default rules, which fail no run: no gate.toml was given (NIGHTSCRIBE_GATE)."
)


@dataclass(frozen=True)
class Gate:
    """Whether the newest transcripts may be worse than their baselines.

    Attributes:
        state: `open`, `closed`, `too few to tell`, `no baseline` or `not judged`
        detail: how many groups are worse or too few to tell; may be empty
        note: what to know about it; may be empty
    """

    score_id: str
    created_at: datetime
    state: str
    detail: str
    note: str

    @property
    def shape(self) -> str:
        """`open`, `closed` or `none`."""
        return self.state if self.state in ("open", "closed") else "none"


def gate_of(snapshots: Snapshots, score_id: str | None = None) -> Gate | None:
    """The gate of an evaluation, else of the newest one. None if there is no such evaluation."""
    found = snapshots.kept_rows(_GATES, {"score_id": score_id})
    if not found:
        return None
    [row] = found
    note = ""
    if row["state"] == "no baseline":
        note = _NO_BASELINE
    elif row["state"] == "too few to tell":
        note = _TOO_FEW
    elif row["rules"] == "default":
        note = _DEFAULT_RULES
    state = row["state"] or "not judged"
    return Gate(row["score_id"], row["created_at"], state, _detail(row), note)


def _detail(row: dict[str, Any]) -> str:
    """The groups that close the gate, or of which it warns, and those that it cannot judge."""
    groups = row["judged_groups"]
    if not groups:
        return ""
    parts: list[str] = []
    for count, of_one, of_many in (
        (row["worse_groups"], "is worse", "are worse"),
        (row["groups_beyond_limit"], "is beyond a limit", "are beyond a limit"),
        (row["missing_groups"], "has no transcript to compare", "have no transcript to compare"),
        (row["warned_groups"], "has a warning", "have a warning"),
        (row["too_few_groups"], "is too few to tell", "are too few to tell"),
    ):
        if count:
            of = f" of {groups}" if not parts else ""
            noun = "" if parts else (" group" if groups == 1 else " groups")
            parts.append(f"{count}{of}{noun} {of_one if count == 1 else of_many}")
    if not parts:
        return f"{groups} group{'' if groups == 1 else 's'} judged, none is worse"
    return ", ".join(parts)
