"""Scores arranged for reports: by data set and model, then by language."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import pyarrow as pa

from evaluation.languages import language_label
from evaluation.measure.hallucinations import is_without_speech
from evaluation.measure.metrics import ERROR_RATES
from evaluation.pairs.table import tag_of

__all__ = ["LanguageScores", "Score", "SystemScores", "by_system"]

Score = Mapping[str, Any]
"""One row of a table of scores."""


@dataclass
class LanguageScores:
    """Everything measured on one language with one model and set of options.

    `language` is a tag, with the region if the scores are by region. `scores` maps a metric to its
    row of the table of scores.
    """

    dataset: str
    model_id: str
    model: str
    options_key: str
    language: str
    scores: dict[str, Score] = field(default_factory=dict)

    @property
    def of_task(self) -> dict[str, Score]:
        """A score of each task that has all its pairs."""
        metrics = (name for name in ("wer", "bleu") if name in self.scores)
        return {self.scores[name]["task"]: self.scores[name] for name in metrics}

    @property
    def split(self) -> str | None:
        """The split of the data set that all recordings are of; None if it is not known."""
        splits = {score["split"] for score in self.scores.values()}
        return splits.pop() if len(splits) == 1 else None

    @property
    def error_metric(self) -> str | None:
        """`wer` or `cer`, whichever is the headline; None if no error rate can be quoted."""
        return next(
            (name for name in ERROR_RATES if name in self.scores and self.scores[name]["headline"]),
            None,
        )


@dataclass
class SystemScores:
    """One model on one data set: the languages it was scored on."""

    dataset: str
    model_id: str
    model: str
    languages: list[LanguageScores] = field(default_factory=list)

    def label(self, language: LanguageScores) -> str:
        """The language's name, with the options' key if several have the same language."""
        same = Counter(other.language for other in self.languages)[language.language]
        name = language_label(language.language)
        return name if same == 1 else f"{name}, options {language.options_key[:8]}"


def by_system(scores: pa.Table) -> list[SystemScores]:
    """Arrange scores by data set and model, then by language and options, in alphabetical order.

    Recordings in which nobody speaks have no language: `no_speech` shows them.
    """
    systems: dict[tuple[str, str], SystemScores] = {}
    languages: dict[tuple[str, str, str, str], LanguageScores] = {}
    for score in sorted(scores.to_pylist(), key=_key):
        if is_without_speech(score["language"]):
            continue
        dataset, model_id, language, options_key = key = _key(score)
        system = systems.setdefault(
            (dataset, model_id), SystemScores(dataset, model_id, score["model"])
        )
        if key not in languages:
            languages[key] = LanguageScores(
                dataset, model_id, score["model"], options_key, language
            )
            system.languages.append(languages[key])
        languages[key].scores[score["metric"]] = score
    return list(systems.values())


def _key(score: Score) -> tuple[str, str, str, str]:
    return score["dataset"], score["model_id"], tag_of(score), score["options_key"]
