"""How many recordings of a baseline the candidate has transcribed, too."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import pyarrow as pa

from evaluation.gate.rules import Rules
from evaluation.languages import language_label
from evaluation.pairs.table import Group, group_of, group_rows

ENOUGH = 0.5
"""If a smaller share of a baseline's recordings is compared, the result says little about the
rest."""


@dataclass(frozen=True)
class Coverage:
    """The number of recordings in a baseline, and of those that the candidate has, too."""

    baseline: int
    shared: int

    @property
    def whole(self) -> bool:
        """Whether the candidate has all of them."""
        return self.shared == self.baseline

    @property
    def lack(self) -> Literal["missing", "incomplete"] | None:
        """`missing` if the candidate has none of them, `incomplete` if it has few."""
        if not self.shared:
            return "missing"
        return "incomplete" if self.shared < ENOUGH * self.baseline else None


def coverage(baseline: pa.Table, candidate: pa.Table) -> dict[Group, Coverage]:
    """The coverage of each group of the baseline, in order."""
    before, after = (
        {(*group_of(row), row["recording_id"]) for row in group_rows(pairs, "recording_id")}
        for pairs in (baseline, candidate)
    )
    every, shared = (Counter(key[:3] for key in keys) for keys in (before, before & after))
    return {group: Coverage(count, shared[group]) for group, count in sorted(every.items())}


def coverage_messages(
    groups: Mapping[Group, Coverage], rules: Rules
) -> tuple[list[str], list[str]]:
    """Alarms and warnings about groups of which the candidate has none or few recordings.

    A group without any is an alarm, unless the rules only warn of it.
    """
    alarms: list[str] = []
    warnings: list[str] = []
    for group, found in groups.items():
        dataset, language, task = group
        action = rules.action_for(*group)
        name = f"{language_label(language)} of {dataset}, {task}"
        if action == "ignore":
            continue
        if found.lack == "missing":
            (alarms if action == "fail" else warnings).append(
                f"{name}: none of the {found.baseline} recordings of the baseline has a transcript "
                "to compare with it"
            )
        elif found.lack == "incomplete":
            warnings.append(
                f"{name}: only {found.shared} of the {found.baseline} recordings of the baseline "
                "have a transcript of the system that was used last: the others are not compared"
            )
    return alarms, warnings
