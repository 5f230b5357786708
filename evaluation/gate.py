"""Did a language get worse than its baseline, by more than is tolerated and beyond chance?

A row of a comparison (see `comparison`) is an alarm if the candidate is worse by more than its
margin, and the p-value of that is below `alpha` after Holm's correction. The p-value is the larger
of two:

- how far beyond the margin the difference lies, in standard errors: normally distributed, or of
  fewer than `paired.FEW` recordings as Student's t with a degree of freedom less than there are;
- of fewer than `paired.FEW` recordings: how often swapping the systems' outcomes at random makes
  the candidate that much worse. A bootstrap of few recordings is too sure of itself; this is not.

Holm's correction ("A Simple Sequentially Rejective Multiple Test Procedure", Scandinavian Journal
of Statistics, 1979) keeps the probability of *any* false alarm below `alpha`, however many
languages and metrics are looked at: without it, twenty languages would give one a night. Figures
that no recording moved cannot give one, and do not count (Tarone, "A Modified Bonferroni Method for
Discrete Data", Biometrics 1990).
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from statistics import NormalDist
from typing import Any, Literal

import pyarrow as pa

from evaluation.comparison import LOWER_IS_BETTER
from evaluation.normalize import language_code, language_name
from evaluation.paired import FEW
from evaluation.summary import metric_name, scale

Action = Literal["fail", "warn", "ignore"]

MARGINS: Mapping[str, float] = {"wer": 0.5, "cer": 0.5, "lid_accuracy": 1.0, "bleu": 1.0}
"""Points (of 100) by which a metric may be worse; what is not here is not looked at."""

_ERROR_RATES = ("wer", "cer")


@dataclass(frozen=True)
class Override:
    """What holds instead for the rows that agree in every field that is named."""

    dataset: str | None = None
    language: str | None = None
    task: str | None = None
    metric: str | None = None
    margin: float | None = None
    action: Action | None = None

    def covers(self, row: Mapping[str, Any]) -> bool:
        """Whether it is about this row of a comparison."""
        same_language = self.language is None or (
            language_code(self.language) == language_code(row["language"])
        )
        return same_language and all(
            getattr(self, name) in (None, row[name]) for name in ("dataset", "task", "metric")
        )


@dataclass(frozen=True)
class Rules:
    """What is tolerated.

    Attributes:
        action: what an alarm does
        alpha: probability of any false alarm in one evaluation
        margins: metric → points by which it may be worse
        overrides: for some rows; a later one prevails
    """

    action: Action = "fail"
    alpha: float = 0.05
    margins: Mapping[str, float] = field(default_factory=lambda: MARGINS)
    overrides: Sequence[Override] = ()

    def of(self, row: Mapping[str, Any]) -> tuple[float | None, Action]:
        """Margin (None: the metric is not looked at) and action for a row of a comparison.

        Of the error rates only the headline is looked at: letters say little about a language
        with words, and an unspaced language has none.
        """
        quoted = row["headline"] or row["metric"] not in _ERROR_RATES
        margin = self.margins.get(row["metric"]) if quoted else None
        action = self.action
        for override in self.overrides:
            if override.covers(row):
                # One without a metric moves the margins that there are, and makes none.
                if (
                    override.margin is not None
                    and quoted
                    and (margin is not None or override.metric)
                ):
                    margin = override.margin
                action = override.action or action
        return margin, action


@dataclass(frozen=True)
class Verdict:
    """A row of a comparison, judged.

    Attributes:
        row: of `comparison.COMPARISON`
        worse_by: points, negative where the candidate is better
        margin: points
        p_value: after Holm's correction; None where there are too few recordings for one, or all
            of them came out as before
        alarm: whether it is worse beyond margin and chance
        action: what follows from an alarm
    """

    row: Mapping[str, Any]
    worse_by: float
    margin: float
    p_value: float | None
    alarm: bool
    action: Action


def judge(comparison: pa.Table, rules: Rules) -> list[Verdict]:
    """Judge every row that the rules look at, in the order of the comparison."""
    judged: list[tuple[Mapping[str, Any], float, float, Action, float | None]] = []
    for row in comparison.to_pylist():
        margin, action = rules.of(row)
        if margin is not None and action != "ignore":
            worse_by, p_value = _worse_by(row, margin)
            judged.append((row, worse_by, margin, action, p_value))
    corrected = holm([p for *_, p in judged if p is not None])
    verdicts = []
    for row, worse_by, margin, action, p_value in judged:
        p_corrected = None if p_value is None else corrected.pop(0)
        alarm = p_corrected is not None and worse_by > margin and p_corrected < rules.alpha
        verdicts.append(Verdict(row, worse_by, margin, p_corrected, alarm, action))
    return verdicts


def _worse_by(row: Mapping[str, Any], margin: float) -> tuple[float, float | None]:
    """Points, and the probability of as many or more were it worse by no more than the margin."""
    points = scale(row["metric"])
    sign = points if row["metric"] in LOWER_IS_BETTER else -points
    worse_by = sign * row["difference"]
    if row["p_value"] is None or not (row["difference"] or row["standard_error"]):
        return worse_by, None
    beyond, error = worse_by - margin, points * row["standard_error"]
    utterances = row["utterances"]
    if beyond <= 0:
        return worse_by, 1.0
    if utterances >= FEW:
        return worse_by, 1 - NormalDist().cdf(beyond / error) if error else 0.0
    # A bootstrap's standard error lacks the n − 1 of a sample's.
    error *= math.sqrt(utterances / (utterances - 1))
    p_value = student_tail(beyond / error, utterances - 1) if error else 0.0
    return worse_by, max(p_value, row["p_value"] / 2)  # swapping looks both ways


def student_tail(t: float, degrees: int) -> float:
    """Probability that Student's t with so many degrees of freedom is `t` or more, for t ≥ 0.

    Abramowitz and Stegun, "Handbook of Mathematical Functions", 26.7.3 and 26.7.4.
    """
    angle = math.atan(t / math.sqrt(degrees))
    square = math.cos(angle) ** 2
    odd = degrees % 2
    term = math.sin(angle) * (math.cos(angle) if odd else 1.0)
    total = 0.0
    for step in range(2 + odd, degrees + 1, 2):
        total += term
        term *= square * (step - 1) / step
    within = (angle + total) * 2 / math.pi if odd else total
    return max(0.0, (1 - within) / 2)


def holm(p_values: Sequence[float]) -> list[float]:
    """P-values after Holm's step-down correction, in the same order."""
    corrected = [0.0] * len(p_values)
    largest = 0.0
    for rank, place in enumerate(sorted(range(len(p_values)), key=p_values.__getitem__)):
        largest = max(largest, min(1.0, p_values[place] * (len(p_values) - rank)))
        corrected[place] = largest
    return corrected


def message(verdict: Verdict, worst: Sequence[str]) -> str:
    """An alarm for people: what got worse, by how much, how sure that is, and where to listen."""
    row, points = verdict.row, scale(verdict.row["metric"])
    ends = sorted(
        points * row[end] * (1 if row["metric"] in LOWER_IS_BETTER else -1)
        for end in ("ci_low", "ci_high")
    )
    metric, _, unit = metric_name(row["metric"]).partition(" ")
    before, now = (
        f"{row[name] * points:.2f} {unit}".rstrip() for name in ("baseline", "candidate")
    )
    listen = f"; listen to {', '.join(worst)}" if worst else ""
    return (
        f"{language_name(row['language'])} ({row['language']}) of {row['dataset']}, "
        f"{row['task']}: {metric} {now} against {before}, worse by {verdict.worse_by:.2f} points "
        f"(95 % interval {ends[0]:.2f} to {ends[1]:.2f}, tolerated {verdict.margin:g}, "
        f"p {verdict.p_value:.2g} after correction) on {row['utterances']} recordings{listen}"
    )
