"""Sources that have disappeared: noted once, no longer planned, and present again when they return.

A source has disappeared if a scan lists its collection and does not find its file, or its zip or
tar. Files below a folder that cannot be read, and files that cannot be read at the moment, have
not disappeared. A member of a zip or tar has disappeared if the whole container was read and does
not have it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pyarrow as pa

from nightscribe.lake.keys import KEYS
from nightscribe.lake.reading import connect
from nightscribe.lake.rows import rows_of
from nightscribe.lake.tables import Lake
from nightscribe.stages.new_files import Found
from nightscribe.uris import join_uri, places_of

__all__ = ["Changes", "Place", "note_changes", "note_contents", "note_members"]

Place = tuple[str, str]
"""Archive and member, as in `sources`."""

_ROWS = 50_000
"""Rows per commit."""


@dataclass(frozen=True)
class Changes:
    """Number of sources that have disappeared since the last scan, and that are back."""

    gone: int
    back: int


def note_changes(lake: Lake, found: Found, run_id: str) -> Changes:
    """Write the sources that a listing no longer finds, or finds again, to `source_states`."""
    database = found.database
    # One join per statement, see `nightscribe.stages.pending`.
    database.execute(
        """CREATE TABLE absent AS
           FROM (SELECT archive, member, collection FROM sources
                 WHERE list_contains(?, collection)) ANTI JOIN listed USING (archive, member)""",
        [list(found.accounts)],
    )
    database.execute(
        """CREATE TABLE containers AS
           SELECT DISTINCT archive FROM listed WHERE kind = 'container'"""
    )
    for name, query in {
        "unlisted": "FROM absent ANTI JOIN containers USING (archive)",
        "gone": "FROM unlisted ANTI JOIN disappeared USING (archive, member)",
        # A file with another content is back when it has been ingested.
        "missed": """SELECT archive, member, size_bytes, version FROM sources
                     SEMI JOIN disappeared USING (archive, member)""",
        "back": """SELECT archive, member FROM missed
                   SEMI JOIN listed USING (archive, member, size_bytes, version)""",
    }.items():
        database.execute(f"CREATE TABLE {name} AS {query}")
    # A member that a container lost when it was read again is not back with the container.
    database.execute(
        """INSERT INTO back SELECT archive, member FROM disappeared
           SEMI JOIN containers USING (archive) WHERE missing = 'archive'"""
    )
    unreadable = {
        row["uri"]
        for batch in found.rows("FROM unusable WHERE reason = 'unreadable'")
        for row in batch.to_pylist()
    }
    gone = back = 0
    for batch in found.rows("FROM gone ORDER BY archive, member", _ROWS):
        rows = [
            {
                "archive": row["archive"],
                "member": row["member"],
                "missing": "member" if row["archive"] == row["collection"] else "archive",
            }
            for row in batch.to_pylist()
            if unreadable.isdisjoint(_places(row))
        ]
        gone += len(rows)
        _upsert(lake, rows, run_id)
    for batch in found.rows("SELECT *, 'nothing' AS missing FROM back", _ROWS):
        back += batch.num_rows
        _upsert(lake, batch.to_pylist(), run_id)
    return Changes(gone, back)


def note_members(lake: Lake, archive: str, seen: Iterable[str], run_id: str) -> None:
    """Write that a container, which was read to its end, has no members but these."""
    with connect(lake, views=["present_sources"]) as connection:
        sources = connection.execute(
            "SELECT member FROM present_sources WHERE archive = ?", [archive]
        ).fetchall()
    gone = {member for (member,) in sources}.difference(seen)
    rows = [{"archive": archive, "member": member, "missing": "member"} for member in sorted(gone)]
    _upsert(lake, rows, run_id)


def note_contents(
    lake: Lake, used: Iterable[Place], rejected: Iterable[Place], run_id: str
) -> None:
    """Write what ingestion has found at places: a recording, or a file that cannot be used.

    The recording that a rejected file had before has disappeared.
    """
    rows = [
        {"archive": archive, "member": member, "missing": missing}
        for places, missing in ((used, "nothing"), (rejected, "member"))
        for archive, member in places
    ]
    if not rows:
        return
    with connect(lake, views=["sources", "source_states"]) as connection:
        connection.register("states", pa.Table.from_pylist(rows))
        changed = connection.sql(
            """SELECT states.* FROM states JOIN sources USING (archive, member)
               LEFT JOIN source_states AS d USING (archive, member)
               WHERE coalesce(d.missing, 'nothing') <> states.missing"""
        ).to_arrow_table()
    _upsert(lake, changed.to_pylist(), run_id)


def _places(source: Mapping[str, str]) -> set[str]:
    """The URIs that a rejection of the source, or of a folder above it, has.

    The source is a file of the collection, or in a container that is one.
    """
    collection, archive = source["collection"], source["archive"]
    path = source["member"]
    if archive != collection:
        path = next((m for folder, m in places_of(archive) if folder == collection), "")
    parts = path.split("/")
    folders = {join_uri(collection, "/".join(parts[:n])) for n in range(1, len(parts) + 1)}
    return folders | {join_uri(archive, "")}


def _upsert(lake: Lake, rows: Sequence[Mapping[str, Any]], run_id: str) -> None:
    lake.upsert(
        "source_states", rows_of("source_states", rows, run_id), KEYS["source_states"], restamp=True
    )
