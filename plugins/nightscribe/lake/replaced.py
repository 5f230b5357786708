"""Delete what replaced transcripts leave in other tables: their segments, and attempts without any.

A commit that replaces transcripts notes their ids in its entry of the Delta log, and the version
of the note before it. Publishing follows these notes back to the last one whose rows are deleted.
So a process may be killed at any moment: a note comes with its commit, and to delete twice does
nothing. Rows of attempts that have not committed yet are never touched.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pyarrow as pa
from deltalake import DeltaTable, Transaction

from nightscribe.lake.connections import new_connection
from nightscribe.lake.keys import KEYS
from nightscribe.lake.tables import Lake, Note, deleted_up_to
from nightscribe.lake.transactions import REPLACED

__all__ = ["delete_replaced", "note_replaced"]

_LEFT = {"segments": "transcript_id", "batches": "attempt_id"}
"""Table → its column whose values are in the notes."""


def note_replaced(lake: Lake, rows: pa.Table) -> Note:
    """A note of the transcripts that a commit of these rows to `transcripts` replaces."""
    same = " AND ".join(f'old."{c}" IS NOT DISTINCT FROM new."{c}"' for c in KEYS["transcripts"])

    def note(table: DeltaTable) -> tuple[dict[str, str], list[Transaction]]:
        found = _rows(
            lake,
            table,
            f"""SELECT transcript_id, attempt_id FROM transcripts AS old
                WHERE EXISTS (SELECT 1 FROM given AS new WHERE {same})""",
            rows,
        )
        if not found:
            return {}, []
        content = {
            "transcript_id": sorted(transcript for transcript, _ in found),
            "attempt_id": sorted({attempt for _, attempt in found}),
            "before": table.transaction_version(REPLACED),
        }
        # A commit in between would refuse this one, so its version is the next.
        return {REPLACED: json.dumps(content)}, [Transaction(REPLACED, table.version() + 1)]

    return note


def delete_replaced(lake: Lake) -> None:
    """Delete the rows that replaced transcripts have left. Raises `LakeError`."""
    transcripts = lake.table("transcripts")
    newest = transcripts.transaction_version(REPLACED)
    if newest is None:
        return
    for name, column in _LEFT.items():
        done = lake.table(name).transaction_version(REPLACED)
        if done is not None and done >= newest:
            continue
        replaced = {value for note in _notes(lake, newest, done) for value in note[column]}
        keys = pa.table({column: pa.array(sorted(replaced), pa.string())})
        # Another transcript of the attempt may still be there.
        query = f"SELECT {column} FROM given ANTI JOIN transcripts USING ({column})"
        gone = [value for (value,) in _rows(lake, transcripts, query, keys)]
        keys = pa.table({column: pa.array(gone, pa.string())})
        # Together with the deletion: `create_views` looks at this mark.
        lake.delete(name, keys, [column], deleted_up_to(REPLACED, newest))
        if (lake.table(name).transaction_version(REPLACED) or -1) < newest:  # nothing was deleted
            lake.mark(name, Transaction(REPLACED, newest))


def _notes(lake: Lake, newest: int, done: int | None) -> Iterator[dict[str, Any]]:
    """The notes after the version `done`, the newest first."""
    version: int | None = newest
    while version is not None and (done is None or version > done):
        path = lake.native_path(f"transcripts/_delta_log/{version:020}.json")
        try:
            lines = lake.filesystem.cat_file(path).splitlines()
        except FileNotFoundError:  # the log was cleaned up
            return
        infos = (json.loads(line).get("commitInfo") for line in lines)
        note = json.loads(next(info[REPLACED] for info in infos if info))
        yield note
        version = note["before"]


def _rows(
    lake: Lake, transcripts: DeltaTable, query: str, given: pa.Table
) -> list[tuple[Any, ...]]:
    """The rows of a query over the tables `transcripts` and `given`."""
    files = lake.files("transcripts", transcripts)
    if not files:
        return []
    with new_connection() as connection:
        if not lake.is_local:
            connection.register_filesystem(lake.filesystem)
        connection.register("given", given)
        connection.read_parquet(files).create_view("transcripts")
        return connection.execute(query).fetchall()
