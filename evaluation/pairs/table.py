"""The table of pairs: the reference of a recording beside what one system made of it.

A system is one model with one set of options. Scores and comparisons are made per group: one data
set, spoken language (of one variety, if the pairs state it) and task.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pyarrow as pa

from nightscribe.languages import parse_language

__all__ = [
    "GROUP",
    "PAIRS",
    "STATED",
    "TASKS",
    "Group",
    "Pair",
    "group_columns",
    "group_of",
    "group_rows",
    "location",
    "pair_rows",
    "tag_of",
]

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

More columns are used if they are present: `variety` and `split` (see `STATED`), `duration_s` (hours
in the report), `source` (where the recording lies), `speaker` and `session` (their recordings are
drawn together), `transcript_id` (for a query of its segments), `letters` of the transcript, and
`letters_over_silence`, those in segments that the model took for silence, and `kind` of a recording
in which nobody speaks (its language is `zxx`, and its reference empty)."""

STATED = pa.schema([*PAIRS, pa.field("variety", pa.string()), pa.field("split", pa.string())])
"""`PAIRS` with what data sets state. `variety` is the language with its region (`zh-TW`), if pairs
of that language are to be scored by region, and `split` is that of the data set (`test`)."""

TASKS = ("transcribe", "translate")

GROUP = ("dataset", "language", "variety", "task")
"""The columns of a group. `variety` may be null, or missing from a table of pairs."""

Pair = dict[str, Any]
"""One row of the table."""

Group = tuple[str, str, str]
"""Data set, tag of the language (see `tag_of`), task."""


def tag_of(row: Mapping[str, Any]) -> str:
    """The variety of a pair, a score or a row of a comparison, or else its language."""
    return str(row.get("variety") or row["language"])


def group_of(row: Mapping[str, Any]) -> Group:
    """The group of a pair, a score or a row of a comparison."""
    return row["dataset"], tag_of(row), row["task"]


def group_columns(group: Group) -> dict[str, Any]:
    """A group as the columns of `GROUP`."""
    dataset, tag, task = group
    known = parse_language(tag)
    is_variety = known is not None and known.variety == tag
    return {
        "dataset": dataset,
        "language": known.code if is_variety and known is not None else tag,
        "variety": tag if is_variety else None,
        "task": task,
    }


def group_rows(pairs: pa.Table, *columns: str) -> list[dict[str, Any]]:
    """The columns of `GROUP` that a table has, and others, as rows."""
    names = [name for name in GROUP if name in pairs.column_names]
    rows: list[dict[str, Any]] = pairs.select([*names, *columns]).to_pylist()
    return rows


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
