"""Delete rows that no view shows: of attempts and evaluations that were killed before they ended.

An attempt commits its transcripts last, and an evaluation its scores. If the process dies before
that, what it has written stays, and no view shows it. Only rows that were written before a given
moment are deleted, which must be longer ago than any task may take.
"""

from __future__ import annotations

from datetime import datetime

import duckdb
import pyarrow as pa

from nightscribe.lake.reading import connect
from nightscribe.lake.replaced import delete_replaced
from nightscribe.lake.tables import Lake

__all__ = ["delete_orphans", "find_orphans"]

_MEMORY = "512MB"

_OLD = {
    "batches": (
        "attempt_id",
        """SELECT attempt_id FROM files.batches ANTI JOIN files.transcripts USING (attempt_id)
           WHERE transcripts > 0 AND created_at < $before""",
    ),
    "verdicts": (
        "score_id",
        """SELECT DISTINCT score_id FROM files.verdicts ANTI JOIN files.scores USING (score_id)
           WHERE created_at < $before""",
    ),
    "utterance_errors": (
        "score_id",
        """SELECT DISTINCT score_id FROM files.utterance_errors
           ANTI JOIN files.scores USING (score_id) WHERE created_at < $before""",
    ),
}
"""Table → its column that the query gives, of rows that belong to nothing."""


def find_orphans(lake: Lake, before: datetime) -> dict[str, pa.Table]:
    """Table → the keys of rows that no view shows, and that were written before a moment."""
    with connect(lake, memory_limit=_MEMORY) as connection:
        found = {"segments": _segments(connection, lake, before)}
        for name, (column, query) in _OLD.items():
            rows = connection.execute(query, {"before": before}).fetchall()
            found[name] = _keys(column, [value for (value,) in rows])
    return {name: keys for name, keys in found.items() if keys.num_rows}


def delete_orphans(lake: Lake, before: datetime) -> dict[str, int]:
    """Delete what `find_orphans` finds. Returns table → keys. Raises `LakeError`."""
    found = find_orphans(lake, before)
    # What a forced run replaced just before the tables were read looks the same. It is deleted
    # with a mark that readers of older transcripts look for, so that goes first.
    delete_replaced(lake)
    for name, keys in found.items():
        lake.delete(name, keys, keys.column_names)
    return {name: keys.num_rows for name, keys in found.items()}


def _segments(connection: duckdb.DuckDBPyConnection, lake: Lake, before: datetime) -> pa.Table:
    """Ids in `segments` that no transcript has. Its rows have no time, but its files have."""
    connection.execute(
        """CREATE TEMP TABLE orphans AS SELECT DISTINCT transcript_id
           FROM files.segments ANTI JOIN files.transcripts USING (transcript_id)"""
    )
    actions = lake.table("segments").get_add_actions()
    limit = before.timestamp() * 1000
    # A file that was rewritten has a newer time than its rows, so some rows stay for longer.
    young = [
        lake.path("segments", path)
        for path, written in zip(
            actions["path"].to_pylist(), actions["modification_time"].to_pylist(), strict=True
        )
        if _milliseconds(written) >= limit
    ]
    if young:
        connection.execute(
            """DELETE FROM orphans WHERE transcript_id IN (
                 SELECT transcript_id FROM read_parquet($young))""",
            {"young": young},
        )
    rows = connection.execute("SELECT transcript_id FROM orphans").fetchall()
    return _keys("transcript_id", [value for (value,) in rows])


def _milliseconds(written: datetime | int) -> float:
    return written.timestamp() * 1000 if isinstance(written, datetime) else written


def _keys(column: str, values: list[str]) -> pa.Table:
    return pa.table({column: pa.array(sorted(values), pa.string())})
