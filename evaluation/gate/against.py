"""A system compared with its baseline and judged."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import pyarrow as pa

from evaluation.gate.coverage import Coverage, coverage, coverage_messages
from evaluation.gate.judging import TOO_FEW, Verdict, judge, message, too_few_message
from evaluation.gate.rules import Rules
from evaluation.languages import language_label
from evaluation.measure.changed import Changed, most_changed, most_worsened
from evaluation.measure.comparison import compare
from evaluation.pairs.table import Group, group_of, group_rows, location

__all__ = ["Against", "against", "group_label", "summary"]

LISTED = 5
"""Recordings that an alarm names, and that a report shows for each group."""


@dataclass(frozen=True)
class Against:
    """A candidate compared with its baseline.

    Attributes:
        comparison: columns as in `COMPARISON`
        verdicts: of the rows that the rules judge
        alarms: a message for each figure that is worse, and for each group of the baseline of
            which the candidate has no recording
        undecided: a message for each group of which too few recordings were compared to tell, if
            the rules fail then
        warnings: a message for each of these that only warns, and for each group of the baseline
            of which the candidate has few recordings
        changed: per group, the recordings that changed most
        unguarded: groups without a recording that the baseline has, too
        coverage: group of the baseline → number of recordings
        systems: group → the baseline's and the candidate's model and options_key
        what: the baseline's name in the report
    """

    comparison: pa.Table
    verdicts: list[Verdict]
    alarms: list[str]
    undecided: list[str]
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
        baseline, candidate: columns as in `PAIRS`, one system per group
        what: the baseline's name in the report

    Raises:
        ValueError: a table cannot be used, or has a recording twice in a group
    """
    comparison = compare(baseline, candidate)
    verdicts = judge(comparison, rules)
    covered = coverage(baseline, candidate)
    alarms, warnings = coverage_messages(covered, rules)
    for verdict in verdicts:
        if verdict.alarm:
            group, metric = group_of(verdict.row), verdict.row["metric"]
            worst = most_worsened(baseline, candidate, group, metric, LISTED)
            text = message(verdict, [location(one.candidate) for one in worst])
            (alarms if verdict.closes else warnings).append(text)
    undecided: list[str] = []
    for of_group in _too_few(verdicts):
        closes = any(verdict.closes for verdict in of_group)
        (undecided if closes else warnings).append(too_few_message(of_group, rules.alpha))
    compared = {group_of(row) for row in comparison.to_pylist()}
    before, after = _systems(baseline), _systems(candidate)
    return Against(
        comparison=comparison,
        verdicts=verdicts,
        alarms=alarms,
        undecided=undecided,
        warnings=warnings,
        changed=most_changed(baseline, candidate, LISTED),
        unguarded=sorted(after.keys() - compared),
        coverage=covered,
        systems={group: (before[group], after[group]) for group in sorted(compared)},
        what=what,
    )


def _too_few(verdicts: list[Verdict]) -> Iterator[list[Verdict]]:
    """The figures of each group that are too few to tell."""
    groups: dict[Group, list[Verdict]] = {}
    for verdict in verdicts:
        if verdict.outcome == TOO_FEW:
            groups.setdefault(group_of(verdict.row), []).append(verdict)
    yield from groups.values()


def _systems(pairs: pa.Table) -> dict[Group, str]:
    return {
        group_of(row): ", options ".join(filter(None, [row["model"], row["options_key"][:8]]))
        for row in group_rows(pairs, "model", "options_key")
    }


def summary(found: Against) -> str:
    """How many figures are worse or too few to tell, and which groups have no baseline."""
    worse = sum(verdict.alarm for verdict in found.verdicts)
    text = (
        f"{worse} of {len(found.verdicts)} figures are worse than {found.what} by more "
        "than is tolerated, and beyond chance."
    )
    too_few = sum(verdict.outcome == TOO_FEW for verdict in found.verdicts)
    if too_few:
        text += f" {too_few} {'is' if too_few == 1 else 'are'} {TOO_FEW}."
    if found.unguarded:
        text += f" Without a baseline: {'; '.join(map(group_label, found.unguarded))}."
    return text


def group_label(group: Group) -> str:
    """A group for people: `fleurs, German (de), transcribe`."""
    dataset, language, task = group
    return f"{dataset}, {language_label(language)}, {task}"
