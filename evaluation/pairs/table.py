"""The table of pairs: the reference of a recording beside what one system made of it.

A system is one model with one set of options. Scores and comparisons are made per group: one data
set, spoken language and task.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pyarrow as pa

__all__ = ["GROUP", "PAIRS", "TASKS", "Group", "Pair", "group_of", "location", "pair_rows"]

PAIRS = pa.schema(
    [
        pa.field("dataset", pa.string(), nullable=False),
        pa.field("language", pa.string(), nullable=False),
        pa.field("task", pa.string(), nullable=False),
        pa.field("model_id", pa.string(), nullable=False),
        pa.field("model", pa.string(), nullable=False),
        pa.field("options_key", pa.string(), nullable=False),
        pa.field("recording_id", pa.string(), nullable=False),
        pa.field("reference", pa.string(), nullable=False),
        pa.field("hypothesis", pa.string(), nullable=False),
        pa.field("detected_language", pa.string()),
    ]
)
"""The columns that scoring needs. `language` is the spoken one, from the reference. A null in
`detected_language` means that the language was given to the model.

More columns are used if they are present: `duration_s` (hours in the report), `source` (where the
recording lies), `speaker` and `session` (their recordings are drawn together), `transcript_id` (for
a query of its segments), `letters` of the transcript, and `letters_over_silence`, those in segments
that the model took for silence."""

TASKS = ("transcribe", "translate")

GROUP = ("dataset", "language", "task")

Pair = dict[str, Any]
"""One row of the table."""

Group = tuple[str, str, str]
"""Data set, language, task."""


def group_of(row: Mapping[str, Any]) -> Group:
    """The group of a pair, a score or a row of a comparison."""
    return row["dataset"], row["language"], row["task"]


def location(pair: Mapping[str, Any]) -> str:
    """Where the recording lies: its source if the pairs have one, else its id."""
    return str(pair.get("source") or pair["recording_id"])


def pair_rows(pairs: pa.Table) -> list[Pair]:
    """The rows of a table of pairs.

    Raises:
        ValueError: a column of `PAIRS` is missing, a required value is null, or a task is unknown
    """
    missing = [name for name in PAIRS.names if name not in pairs.column_names]
    if missing:
        raise ValueError(
            f"the pairs lack the column{'s' if len(missing) > 1 else ''} {', '.join(missing)}: "
            f"got {', '.join(pairs.column_names) or 'none'}"
        )
    for field in PAIRS:
        nulls = 0 if field.nullable else pairs[field.name].null_count
        if nulls:
            raise ValueError(f"the pairs' column {field.name} has {nulls} nulls: fill or drop them")
    rows: list[Pair] = pairs.to_pylist()
    unknown = sorted({row["task"] for row in rows} - set(TASKS))
    if unknown:
        raise ValueError(f"unknown task {unknown[0]!r} in the pairs: expected {' or '.join(TASKS)}")
    return rows
