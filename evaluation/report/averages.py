"""The averages over languages, as rows of text."""

from __future__ import annotations

from typing import Any

import pyarrow as pa

from evaluation.measure.metrics import METRICS
from evaluation.report.by_language import SystemScores
from evaluation.report.figures import drawn, number

__all__ = ["HEADINGS", "average_rows"]

HEADINGS = ("average", "metric", "languages", "scored of references", "macro", "micro")


def average_rows(system: SystemScores, averages: pa.Table) -> list[tuple[str, ...]]:
    """A row for each metric of a model on a data set.

    Args:
        averages: columns as in `AVERAGES`
    """
    found: dict[tuple[str, str, str], dict[str, Any]] = {}
    for row in averages.to_pylist():
        if (row["dataset"], row["model_id"]) == (system.dataset, system.model_id):
            key = row["task"], row["metric"], row["options_key"] or ""
            found.setdefault(key, {})[row["average"]] = {**row, "reference_units": None}
    several = {key[:2] for key in found if sum(key[:2] == other[:2] for other in found) > 1}
    rows: list[tuple[str, ...]] = []
    for key, both in found.items():
        macro = both["macro"]
        name = f"options {key[2][:8]}" if key[:2] in several else "all languages"
        rows.append(
            (
                name,
                METRICS[key[1]].label,
                str(macro["languages"]),
                f"{macro['utterances']} of {macro['of_references']}{drawn(macro)}",
                number(macro),
                number(both["micro"]),
            )
        )
    return rows
