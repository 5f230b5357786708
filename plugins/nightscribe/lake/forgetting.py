"""Forget recordings: first every row of them, then every file that still has such a row.

The table `forgotten` says which. A run that was at work meanwhile may commit rows of them
afterwards, so each publication looks, and deletes again.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from datetime import timedelta
from typing import Any

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
from deltalake import Transaction

from nightscribe.lake.keys import KEYS
from nightscribe.lake.log import read_log
from nightscribe.lake.reading import connect
from nightscribe.lake.rows import rows_of
from nightscribe.lake.tables import FORGOTTEN, Lake, Note
from nightscribe.lake.tidying import keep_log, shorten_log

__all__ = [
    "OF_FORGOTTEN",
    "OF_RECORDINGS",
    "allow",
    "delete_forgotten",
    "is_purged",
    "mark_purged",
    "mark_unpurged",
    "note_forgotten",
    "purge",
]

_MEMORY = "512MB"

_PURGED = "nightscribe.purged"
"""Application-transaction id in `forgotten`; its version is the number of rows that were purged."""

OF_RECORDINGS = (
    "transcripts",  # first, so that no view shows a part of one
    "segments",
    "corrections",
    "reviews",
    "baselines",
    "utterance_errors",
    "reference_texts",
    "warnings",
    "waveforms",
    "rejected",
)
"""Tables whose rows have a `recording_id`, but for the two that say where it is."""

_AT_PLACES = {
    "annotations": "SELECT archive, member FROM files.annotations WHERE {}",
    "source_states": "SELECT archive, member FROM files.source_states WHERE {}",
}
OF_FORGOTTEN = (
    "sha256(archive || chr(10) || member) IN (SELECT unnest(places) FROM files.forgotten)"
)
"""Condition on rows with `archive` and `member`: a forgotten recording was there."""

_TABLES = (*OF_RECORDINGS, *_AT_PLACES, "sources", "recordings")


def note_forgotten(lake: Lake, ids: Iterable[str], reason: str | None, run_id: str) -> None:
    """Note that recordings are to be forgotten, with the places where they are."""
    with connect(lake, views=["sources"]) as connection:
        rows = connection.execute(
            """SELECT recording_id, list_sort(list(sha256(archive || chr(10) || member))
                 FILTER (archive IS NOT NULL))
               FROM (SELECT unnest($ids) AS recording_id)
               LEFT JOIN files.sources USING (recording_id)
               GROUP BY recording_id ORDER BY recording_id""",
            {"ids": [*ids]},
        ).fetchall()
    noted = [
        {"recording_id": one, "places": places or [], "reason": reason} for one, places in rows
    ]
    lake.insert_new("forgotten", rows_of("forgotten", noted, run_id), KEYS["forgotten"])


def allow(lake: Lake, ids: Iterable[str]) -> None:
    """Let recordings be read and transcribed again by the next run that finds them."""
    keys = pa.table({"recording_id": pa.array(sorted(set(ids)), pa.string())})
    lake.delete("forgotten", keys, KEYS["forgotten"])


def delete_forgotten(lake: Lake) -> dict[str, int]:
    """Delete all rows of forgotten recordings. Returns table → keys, of tables that had some.

    It may be killed and repeated: where a recording was is deleted last. Raises `LakeError`.
    """
    forgotten = lake.table_if_made("forgotten")
    if forgotten is None or not lake.files("forgotten", forgotten):
        return {}
    found: dict[str, pa.Table] = {}
    with connect(lake, memory_limit=_MEMORY) as connection:
        for name in (*OF_RECORDINGS, "sources", "recordings"):
            found[name] = _keys(
                connection,
                f"""SELECT DISTINCT recording_id FROM files.{name}
                    SEMI JOIN files.forgotten USING (recording_id)""",
            )
        for name, query in _AT_PLACES.items():
            found[name] = _keys(connection, query.format(OF_FORGOTTEN))
    for name in _TABLES:
        note = _mark(lake.table("transcripts").version()) if name == "segments" else None
        lake.delete(name, found[name], found[name].column_names, note)
    return {name: keys.num_rows for name, keys in found.items() if keys.num_rows}


def _mark(version: int) -> Note:
    """Tells readers which version of `transcripts` belongs to what is left of `segments`."""
    return lambda table: (
        {},
        [Transaction(FORGOTTEN, max(version, table.transaction_version(FORGOTTEN) or -1))],
    )


def _keys(connection: duckdb.DuckDBPyConnection, query: str) -> pa.Table:
    return connection.sql(f"{query} ORDER BY ALL").to_arrow_table()


def purge(lake: Lake, keep: timedelta) -> int:
    """Remove the older versions of all tables that may have rows of recordings; returns the files.

    Readers of an older version, such as an open catalog, find their files gone. The files of a
    writer that has not committed yet stay. Logs go too, since they have the least and the greatest
    text of each file. Raises `LakeError`, `OSError`.

    Args:
        keep: how long logs are kept from now on
    """
    removed = 0
    for name in _TABLES:
        if lake.table_if_made(name) is None:
            continue
        # Before the log forgets which these are.
        committed = _committed(lake, name)
        shorten_log(lake, name, timedelta(0))
        keep_log(lake, name, keep)
        live = set(lake.files(name, lake.table(name)))
        for file in sorted(lake.sizes(name)):
            if file in committed and lake.path(name, file) not in live:
                lake.filesystem.rm_file(lake.native_path(f"{name}/{file}"))
                removed += 1
    return removed


def is_purged(lake: Lake) -> bool:
    """Whether no file of the lake has had rows of forgotten recordings since the last purge."""
    table = lake.table_if_made("forgotten")
    if table is None:
        return True
    with connect(lake, views=["forgotten"]) as connection:
        [(count,)] = connection.execute("SELECT count(*) FROM forgotten").fetchall()
    purged = table.transaction_version(_PURGED) or 0
    return bool(count == purged)


def mark_purged(lake: Lake) -> None:
    """Note that `purge` has ended."""
    with connect(lake, views=["forgotten"]) as connection:
        [(count,)] = connection.execute("SELECT count(*) FROM forgotten").fetchall()
    lake.mark("forgotten", Transaction(_PURGED, count))


def mark_unpurged(lake: Lake) -> None:
    """Note that there are such files again."""
    lake.mark("forgotten", Transaction(_PURGED, 0))


def _committed(lake: Lake, name: str) -> set[str]:
    """The files that any commit of a table's log names."""
    found: set[str] = set()
    folder = f"{name}/_delta_log"
    for entry in read_log(lake, name) or {}:
        path = lake.native_path(f"{folder}/{entry}")
        if entry.endswith(".json"):
            actions = [json.loads(line) for line in lake.filesystem.cat_file(path).splitlines()]
        elif entry.endswith(".parquet"):
            with lake.filesystem.open(path, "rb") as file:
                actions = pq.read_table(file, columns=["add", "remove"]).to_pylist()
        else:
            continue
        found |= {path for action in actions for path in _paths(action)}
    return found


def _paths(action: dict[str, Any]) -> list[str]:
    return [
        str(action[kind]["path"])
        for kind in ("add", "remove")
        if action.get(kind) and action[kind].get("path")
    ]
