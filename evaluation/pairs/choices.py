"""What a lake's transcripts can be compared with, for whoever names what is not there."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pyarrow as pa

from evaluation.pairs.matching import matched
from evaluation.pairs.systems import Chosen, chosen_and_other, newest_chosen
from nightscribe.text_tables import table_text

if TYPE_CHECKING:
    import duckdb

__all__ = ["NothingToCompare", "check_choice"]

_SYSTEMS = """
SELECT model, model_id[:12] AS model_id, options_key[:8] AS options,
    count(*)::VARCHAR AS transcripts,
    count(*) FILTER (EXISTS (
        SELECT 1 FROM reference_texts AS r
        WHERE (r.recording_id, r.task) = (t.recording_id, t.task)
    ))::VARCHAR AS "with a reference"
FROM transcripts AS t
GROUP BY ALL
ORDER BY model, model_id, options
"""

_BASELINES = """
SELECT dataset AS "data set", coalesce(variety, language) AS language, task,
    any_value(model) AS model, any_value(options_key)[:8] AS options,
    count(*)::VARCHAR AS recordings
FROM latest_baselines
GROUP BY dataset, language, variety, task
ORDER BY ALL
"""


class NothingToCompare(Exception):
    """The chosen system has nothing in common with another one; says what there is."""


def check_choice(
    connection: duckdb.DuckDBPyConnection,
    pairs: pa.Table,
    chosen: Chosen | None,
    candidate: Chosen | None,
) -> None:
    """Whether a chosen system can be compared with the newest others, or with those of a candidate.

    Args:
        connection: with the lake's views
        pairs: as from `from_lake.pairs`
        chosen: None if the candidate is compared with its baselines
        candidate: None for the newest

    Raises:
        NothingToCompare: it cannot, or several systems have a name that begins as given; lists the
            models, options and baselines of the lake with their counts
    """
    why = ""
    for one in filter(None, (chosen, candidate)):
        why = why or _why_not(pairs, one)
    if chosen is not None and not why:
        of_chosen, of_others = chosen_and_other(pairs, chosen, candidate)
        name, others = _name(chosen), "the other systems" if candidate is None else _name(candidate)
        if not of_others.num_rows and candidate is None:
            why = f"every transcript that has a reference is of {name}"
        elif not of_others.num_rows:
            why = f"{name} includes {others}: a system cannot be compared with itself"
        elif not any(True for _ in matched(of_chosen, of_others)):
            why = f"{name} and {others} have transcribed no recording with a reference both"
    if why:
        raise NothingToCompare(f"{why}\n\n{_choices(connection)}")


def _name(chosen: Chosen) -> str:
    return " with ".join(
        part
        for part in (
            chosen.model is not None and f"model {chosen.model!r}",
            chosen.options_key is not None and f"options {chosen.options_key!r}",
        )
        if part
    )


def _why_not(pairs: pa.Table, chosen: Chosen) -> str:
    """Why this names no system, or several that differ; empty if it names one."""
    if "" in (chosen.model, chosen.options_key):
        return "an empty name is every system"
    if not newest_chosen(pairs, chosen).num_rows:
        return f"no transcript that has a reference is of {_name(chosen)}"
    if several := _several(pairs, chosen):
        return f"{_name(chosen)} may be any of {', '.join(several)}: give more digits"
    return ""


def _several(pairs: pa.Table, chosen: Chosen) -> list[str]:
    """The ids that begin as given, if it is the name of none and there are several."""
    for column, start in (("model_id", chosen.model), ("options_key", chosen.options_key)):
        if start and start not in pairs["model"].to_pylist():
            ids = {one for one in pairs[column].to_pylist() if one.startswith(start)}
            if len(ids) > 1:
                return sorted(ids)
    return []


def _choices(connection: duckdb.DuckDBPyConnection) -> str:
    parts = []
    for heading, query in (
        ("models and options of this lake:", _SYSTEMS),
        ("baselines, compared with if no model or options are named:", _BASELINES),
    ):
        found = connection.sql(query).to_arrow_table()
        rows = [tuple(row.values()) for row in found.to_pylist()]
        parts.append(f"{heading}\n" + (table_text(found.column_names, rows) if rows else "none\n"))
    return "\n".join(parts)
