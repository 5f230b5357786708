"""The rules of a gate: how much worse a metric may be, its limits, and what an alarm does."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from evaluation.languages import includes_language
from evaluation.measure.metrics import ERROR_RATES, METRICS, headline_error_rate
from evaluation.pairs.table import tag_of

__all__ = [
    "LIMITS",
    "MARGINS",
    "Action",
    "IfTooFew",
    "JudgedMetric",
    "Override",
    "Rules",
]

Action = Literal["fail", "warn", "ignore"]

IfTooFew = Literal["fail", "warn"]

JudgedMetric = Literal[
    "wer",
    "cer",
    "lid_accuracy",
    "bleu",
    "chrf",
    "hallucination_rate",
    "hallucinated_words_per_hour",
]
"""The metrics that can have a margin: those that two systems are compared by."""

MARGINS: Mapping[JudgedMetric, float] = {
    "wer": 0.5,
    "cer": 0.5,
    "lid_accuracy": 1.0,
    "bleu": 1.0,
    "hallucination_rate": 1.0,
}
"""Points (of 100) by which a metric may be worse. A metric without a margin is not judged."""

LIMITS: Mapping[str, str] = {
    f"{'max' if metric.lower_is_better else 'min'}_{name}": name for name, metric in METRICS.items()
}
"""Name of a limit in `gate.toml` → metric: `max_wer`, `min_bleu` …"""


@dataclass(frozen=True)
class Override:
    """Other rules for the figures that agree in every field that is given.

    Attributes:
        limits: metric → points, as in `Rules`
    """

    dataset: str | None = None
    language: str | None = None
    task: str | None = None
    metric: str | None = None
    margin: float | None = None
    action: Action | None = None
    on_too_few: IfTooFew | None = None
    limits: Mapping[str, float] = field(default_factory=dict)

    def covers(self, row: Mapping[str, Any]) -> bool:
        """Whether it applies to this row of a comparison or of scores."""
        same_language = self.language is None or includes_language(self.language, tag_of(row))
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
        on_too_few: what happens if there are too few recordings to tell; where the action is to
            warn, it is not more than that
        limits: metric → points that it must not be beyond, whatever the baseline and chance say;
            the least of a metric that is better if it is higher
        overrides: other rules for some rows; a later one prevails
    """

    action: Action = "fail"
    alpha: float = 0.05
    on_too_few: IfTooFew = "warn"
    margins: Mapping[JudgedMetric, float] = field(default_factory=lambda: MARGINS)
    limits: Mapping[str, float] = field(default_factory=dict)
    overrides: Sequence[Override] = ()

    def of(self, row: Mapping[str, Any]) -> tuple[float | None, Action]:
        """Margin (None: the row is not judged) and action for a row of a comparison.

        Of the two error rates only the headline is judged: letters say little about a language
        with words, and an unspaced language has no words.
        """
        is_judged = row["headline"] or row["metric"] not in ERROR_RATES
        margin = self.margins.get(row["metric"]) if is_judged else None
        action = self.action
        for override in self.overrides:
            if override.covers(row):
                # An override without a metric changes existing margins and adds none.
                if (
                    override.margin is not None
                    and is_judged
                    and (margin is not None or override.metric)
                ):
                    margin = override.margin
                action = override.action or action
        return margin, action

    def action_for(self, dataset: str, language: str, task: str) -> Action:
        """The action for a whole group, whatever the metric."""
        group = {"dataset": dataset, "language": language, "task": task}
        return self.of({**group, "metric": None, "headline": False})[1]

    def action_if_too_few(self, row: Mapping[str, Any]) -> Action:
        """What happens if a row of a comparison has too few recordings to tell."""
        found = self.on_too_few
        for override in self.overrides:
            if override.covers(row):
                found = override.on_too_few or found
        action = self.of(row)[1]
        return found if action == "fail" else action

    @property
    def has_limits(self) -> bool:
        """Whether any figure may have a limit."""
        return bool(self.limits) or any(override.limits for override in self.overrides)

    def limit_of(self, row: Mapping[str, Any]) -> tuple[float | None, Action]:
        """Limit in points (None: there is none) and action for a row of scores.

        Characters are limited in all languages, words in those that have them.
        """
        metric, found, action = row["metric"], self.limits.get(row["metric"]), self.action
        for override in self.overrides:
            if override.covers(row):
                found = override.limits.get(metric, found)
                action = override.action or action
        if metric == "wer" and headline_error_rate(row["language"]) != "wer":
            return None, action
        return found, action
