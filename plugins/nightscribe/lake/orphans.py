"""Delete rows that no view shows: of attempts and evaluations that were killed before they ended.

An attempt commits its transcripts last, and an evaluation its scores. If the process dies before
that, what it has written stays, and no view shows it. Only rows from before a given moment are
deleted, which must be longer ago than any task may take.
"""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta

import pyarrow as pa

from nightscribe.lake.reading import connect
from nightscribe.lake.replaced import delete_replaced
from nightscribe.lake.tables import Lake

__all__ = ["delete_orphans", "find_orphans"]

_MEMORY = "512MB"

_SEEN = "_orphans.json"
"""Transcript id → when it was first found in `segments` alone."""

_EARLY = timedelta(hours=1)
"""A weekly call may come a little earlier than the week before, and would wait for another week."""

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
    """Table → the keys of rows that no view shows. Raises `LakeError`.

    Args:
        before: of rows that have a time, those from before this moment
    """
    views = ["segments", "transcripts", "scores", *_OLD]
    with connect(lake, views=views, memory_limit=_MEMORY) as connection:
        rows = connection.execute(
            """SELECT DISTINCT transcript_id FROM files.segments
               ANTI JOIN files.transcripts USING (transcript_id)"""
        ).fetchall()
        found = {"segments": _keys("transcript_id", rows)}
        for name, (column, query) in _OLD.items():
            rows = connection.execute(query, {"before": before}).fetchall()
            found[name] = _keys(column, rows)
    return {name: keys for name, keys in found.items() if keys.num_rows}


def delete_orphans(lake: Lake, before: datetime) -> dict[str, int]:
    """Delete rows that no view shows and that are from before a moment. Returns table → keys.

    The rows of `segments` have no time, and their files are rewritten now and then. So theirs is
    that of the first call that has found them. Raises `LakeError`.
    """
    found = find_orphans(lake, before)
    # What a forced run replaced just before the tables were read looks the same. It is deleted
    # with a mark that readers of older transcripts look for, so that goes first.
    delete_replaced(lake)
    if "segments" in found:
        found["segments"] = _seen_before(lake, found["segments"], before)
    for name, keys in found.items():
        lake.delete(name, keys, keys.column_names)
    return {name: keys.num_rows for name, keys in found.items() if keys.num_rows}


def _seen_before(lake: Lake, keys: pa.Table, before: datetime) -> pa.Table:
    """The ids that a call before this moment has found, too. Notes the others."""
    now = datetime.now(UTC)
    known: dict[str, str] = {}
    if lake.exists(_SEEN):
        known = json.loads(lake.filesystem.cat_file(lake.native_path(_SEEN)))
    seen = {
        one: datetime.fromisoformat(known[one]) if one in known else now
        for one in keys["transcript_id"].to_pylist()
    }
    left = {one: since for one, since in seen.items() if since >= before + _EARLY}
    noted = {one: since.isoformat() for one, since in left.items()}
    lake.put_file(_SEEN, json.dumps(noted).encode())
    return _keys("transcript_id", [(one,) for one in seen.keys() - left.keys()])


def _keys(column: str, rows: list[tuple[str, ...]]) -> pa.Table:
    return pa.table({column: pa.array(sorted(value for (value,) in rows), pa.string())})
