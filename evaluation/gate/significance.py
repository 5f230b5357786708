"""How probable a difference beyond a margin is by chance, for one figure and for many.

The p-value of a figure is the larger of two:

- how far beyond the margin the difference lies, in standard errors: normally distributed, or, for
  fewer than `paired.FEW` units, as Student's t with one degree of freedom less than there are
  units;
- for fewer than `paired.FEW` units: how often swapping the systems' outcomes at random makes the
  candidate that much worse. A bootstrap of few units underestimates the spread; swapping does not.

Units are recordings, or speakers or sessions where pairs name them (see `sampling`).

Holm's correction ("A Simple Sequentially Rejective Multiple Test Procedure", Scandinavian Journal
of Statistics, 1979) keeps the probability of *any* false alarm below `alpha`, for any number of
languages and metrics. Without it, twenty languages would give one false alarm a night.

Figures that cannot give an alarm do not count: those that no recording changed, and those of so few
units that even the clearest loss has no p-value below `alpha` after the correction. The smallest
p-value of n units is 2⁻ⁿ: half of `paired.smallest_p_value`, since only one direction counts. Such
figures are not held: they are too few to tell. `counted_tests` has the rule (Tarone, "A Modified
Bonferroni Method for Discrete Data", Biometrics 1990).
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from statistics import NormalDist
from typing import Any

from evaluation.measure.metrics import METRICS
from evaluation.measure.paired import FEW, smallest_p_value

__all__ = [
    "counted_tests",
    "holm",
    "p_value_beyond",
    "smallest_p_value_beyond",
    "student_tail",
    "units_needed",
    "worse_by",
]


def worse_by(row: Mapping[str, Any]) -> float:
    """Points by which a row of a comparison is worse; negative if the candidate is better."""
    metric = METRICS[row["metric"]]
    points = metric.points if metric.lower_is_better else -metric.points
    return float(points * row["difference"])


def p_value_beyond(margin: float, row: Mapping[str, Any]) -> float | None:
    """Probability of the difference, or a larger one, if the system were worse by the margin.

    Args:
        margin: points
        row: of a comparison

    Returns:
        None if there are too few units for a p-value, or all recordings came out as before
    """
    if row["p_value"] is None or not (row["difference"] or row["standard_error"]):
        return None
    beyond, error = worse_by(row) - margin, METRICS[row["metric"]].points * row["standard_error"]
    units = row["sampling_units"]
    if beyond <= 0:
        return 1.0
    if units >= FEW:
        return 1 - NormalDist().cdf(beyond / error) if error else 0.0
    # A bootstrap's standard error divides by n where that of a sample divides by n − 1.
    error *= math.sqrt(units / (units - 1))
    by_distance = student_tail(beyond / error, units - 1) if error else 0.0
    by_swapping = row["p_value"] / 2  # it counts both directions
    return max(by_distance, float(by_swapping))


def smallest_p_value_beyond(units: int) -> float:
    """The smallest p-value that `p_value_beyond` can give for so many units.

    >>> [smallest_p_value_beyond(units) for units in (1, 4, 5, 200)]
    [1.0, 0.0625, 0.03125, 0.0]
    """
    if units < 2:
        return 1.0
    return 0.0 if units >= FEW else smallest_p_value(units) / 2


def counted_tests(smallest: Sequence[float], alpha: float) -> int:
    """The number K of tests by which the correction may multiply p-values.

    K is the smallest number for which at most K of the tests can have a p-value below alpha / K
    (Tarone, 1990). A test that cannot is left out: it gives no alarm, true or false. The choice
    depends on numbers of units alone, never on outcomes.

    Args:
        smallest: the smallest p-value that each test can give

    >>> counted_tests([0.0625, 0.0625, 0.0], 0.05)
    1
    >>> counted_tests([0.03125, 0.03125], 0.05)
    2
    """
    count = 1
    while sum(value * count < alpha for value in smallest) > count:
        count += 1
    return count


def units_needed(smallest: Sequence[float], alpha: float) -> int:
    """The number of units with which one more test could give an alarm.

    Args:
        smallest: the smallest p-value that each of the other tests can give
    """
    for units in range(2, FEW):
        value = smallest_p_value_beyond(units)
        if value * counted_tests([*smallest, value], alpha) < alpha:
            return units
    return FEW


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
    for rank, index in enumerate(sorted(range(len(p_values)), key=p_values.__getitem__)):
        largest = max(largest, min(1.0, p_values[index] * (len(p_values) - rank)))
        corrected[index] = largest
    return corrected
