"""Scores with one row per language, and as plain text for a terminal."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import pyarrow as pa

from evaluation.normalize import language_name

Score = Mapping[str, Any]
"""One row of a table of scores."""

_HEADINGS = ("language", "utterances", "WER %", "CER %", "BLEU", "chrF++", "LID %")
_COMPARED = (
    *("language", "task", "metric", "utterances"),
    *("baseline", "candidate", "difference", "p, uncorrected"),
)
_NOTHING = "–"


@dataclass
class LanguageScores:
    """Everything measured on one language with one model and set of options.

    `scores` maps a metric to its row of the table of scores.
    """

    dataset: str
    model_id: str
    model: str
    options_key: str
    language: str
    scores: dict[str, Score] = field(default_factory=dict)

    @property
    def utterances(self) -> int:
        """Recordings scored; the larger number where tasks differ."""
        return max(int(score["utterances"]) for score in self.scores.values())

    @property
    def error_metric(self) -> str | None:
        """`wer` or `cer`, whichever is the headline; None where no error rate can be quoted."""
        return next(
            (name for name in ("wer", "cer") if name in self.scores and self.quoted(name)), None
        )

    def quoted(self, metric: str) -> bool:
        """Whether the metric is the language's headline."""
        return bool(self.scores[metric]["headline"])


@dataclass
class SystemScores:
    """One model on one data set: the languages it was scored on."""

    dataset: str
    model_id: str
    model: str
    languages: list[LanguageScores] = field(default_factory=list)

    def label(self, language: LanguageScores) -> str:
        """The language's name, with the options' key where several share the language."""
        same = Counter(other.language for other in self.languages)[language.language]
        name = f"{language_name(language.language)} ({language.language})"
        return name if same == 1 else f"{name}, options {language.options_key[:8]}"


def by_system(scores: pa.Table) -> list[SystemScores]:
    """Arrange scores by data set and model, then by language and options, in order of names."""
    systems: dict[tuple[str, str], SystemScores] = {}
    languages: dict[tuple[str, str, str, str], LanguageScores] = {}
    order = ("dataset", "model_id", "language", "options_key")
    for score in sorted(scores.to_pylist(), key=lambda row: tuple(row[name] for name in order)):
        dataset, model_id, language, options_key = key = tuple(score[name] for name in order)
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


def number(score: Score | None, *, interval: bool = True) -> str:
    """A score for people: percent for rates, 0 to 100 for BLEU and chrF++, one decimal.

    A dash where there is no score, or an error rate without anything in the references.
    """
    if score is None or score["reference_units"] == 0:
        return _NOTHING
    points = scale(score["metric"])
    value = f"{score['value'] * points:.1f}"
    if not interval or score["ci_low"] is None:
        return value
    return f"{value} ({score['ci_low'] * points:.1f}–{score['ci_high'] * points:.1f})"


def text_table(scores: pa.Table) -> str:
    """One plain table per data set and model, with 95 % intervals, ending in a newline.

    In languages written without spaces there is no word error rate to show: the CER is.
    """
    return "\n".join(_system_table(system) for system in by_system(scores))


def _system_table(system: SystemScores) -> str:
    rows = [_HEADINGS] + [
        (
            system.label(language),
            str(language.utterances),
            _NOTHING if language.error_metric == "cer" else number(language.scores.get("wer")),
            number(language.scores.get("cer"), interval=language.error_metric == "cer"),
            number(language.scores.get("bleu")),
            number(language.scores.get("chrf"), interval=False),
            number(language.scores.get("lid_accuracy"), interval=False),
        )
        for language in system.languages
    ]
    return f"{system.dataset}, model {system.model}\n" + _lines(rows)


def comparison_table(comparison: pa.Table) -> str:
    """Plain text: each headline metric of two systems, and whether they differ beyond chance.

    A table per data set.
    """
    datasets: dict[str, list[tuple[str, ...]]] = {}
    for row in comparison.to_pylist():
        if row["headline"] or row["metric"] == "lid_accuracy":
            datasets.setdefault(row["dataset"], [_COMPARED]).append(compared_cells(row))
    return "\n".join(f"{dataset}\n{_lines(rows)}" for dataset, rows in datasets.items())


def compared_cells(row: Mapping[str, Any]) -> tuple[str, ...]:
    """A row of a comparison as text, under the headings of `comparison_table`."""
    points = scale(row["metric"])
    difference = f"{row['difference'] * points:+.2f}"
    if row["ci_low"] is not None:
        difference += f" ({row['ci_low'] * points:+.2f} to {row['ci_high'] * points:+.2f})"
    return (
        f"{language_name(row['language'])} ({row['language']})",
        row["task"],
        metric_name(row["metric"]),
        str(row["utterances"]),
        f"{row['baseline'] * points:.2f}",
        f"{row['candidate'] * points:.2f}",
        difference,
        _NOTHING if row["p_value"] is None else f"{row['p_value']:.3f}",
    )


def _lines(rows: Sequence[Sequence[str]]) -> str:
    """Rows under each other with a rule below the first, ending in a newline."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = [_line(row, widths) for row in rows]
    lines.insert(1, "  ".join("-" * width for width in widths))
    return "\n".join(lines) + "\n"


def metric_name(metric: str) -> str:
    """As tables show it, with its unit."""
    names = {"bleu": "BLEU", "chrf": "chrF++", "lid_accuracy": "LID %"}
    return names.get(metric, f"{metric.upper()} %")


def scale(metric: str) -> int:
    """What brings a metric to 0 to 100: rates are fractions, BLEU and chrF++ are there already."""
    return 1 if metric in ("bleu", "chrf") else 100


def _line(cells: Sequence[str], widths: Sequence[int]) -> str:
    first = cells[0].ljust(widths[0])
    rest = [cell.rjust(width) for cell, width in zip(cells[1:], widths[1:], strict=True)]
    return "  ".join([first, *rest]).rstrip()
