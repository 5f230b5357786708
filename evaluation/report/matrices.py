"""Matrices of spoken and detected languages, and the languages most often confused."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass

import pyarrow as pa

from evaluation.report.by_language import SystemScores

_LISTED = 10  # confusions below a matrix


@dataclass(frozen=True)
class Matrix:
    """How often each spoken language was detected as which.

    Attributes:
        counts: (spoken, detected) → recordings
        totals: spoken → recordings
        confusions: spoken, detected as another, recordings; most frequent first
    """

    options_key: str
    spoken: list[str]
    detected: list[str]
    counts: Mapping[tuple[str, str], int]
    totals: Mapping[str, int]
    confusions: list[tuple[str, str, int]]


def matrices(system: SystemScores, confusion: pa.Table) -> list[Matrix]:
    """One matrix for each set of options of a model on a data set.

    Args:
        confusion: columns as in `CONFUSION`
    """
    counts: dict[str, dict[tuple[str, str], int]] = {}
    for row in confusion.to_pylist():
        if (row["dataset"], row["model_id"]) == (system.dataset, system.model_id):
            matrix = counts.setdefault(row["options_key"], {})
            matrix[row["language"], row["detected_language"]] = row["utterances"]
    return [_matrix(options_key, matrix) for options_key, matrix in counts.items()]


def _matrix(options_key: str, counts: dict[tuple[str, str], int]) -> Matrix:
    spoken = sorted({language for language, _ in counts})
    others = sorted({detected for _, detected in counts} - set(spoken))
    totals: Counter[str] = Counter()
    for (language, _), utterances in counts.items():
        totals[language] += utterances
    wrong = [(*languages, count) for languages, count in counts.items() if len({*languages}) > 1]
    return Matrix(
        options_key=options_key,
        spoken=spoken,
        detected=spoken + others,
        counts=counts,
        totals=totals,
        confusions=sorted(wrong, key=lambda row: (-row[2], row))[:_LISTED],
    )
