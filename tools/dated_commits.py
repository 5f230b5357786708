"""Commit rows to a Delta table at a time of one's choice, some twenty times as fast as delta-rs.

For lakes of many nights that are made in minutes: the file, its entry of the log and the times of
both are as delta-rs would have written them then, see Delta's protocol
(https://github.com/delta-io/delta/blob/master/PROTOCOL.md). Nobody else may write meanwhile.
"""

from __future__ import annotations

import json
import os
import uuid
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

if TYPE_CHECKING:
    from nightscribe.lake.tables import Lake

_COUNTED = 32
"""Columns with statistics (`delta.dataSkippingNumIndexedCols`)."""

_CHARACTERS = 32
"""Of texts in statistics: enough to skip files by their ids."""


class DatedCommits:
    """Commits to a table of a local lake, which are older than now."""

    def __init__(self, lake: Lake, name: str, made_at: datetime) -> None:
        """`made_at`: when the table is said to be made: no commit can be older than that."""
        self._folder = Path(lake.path(name))
        self._lake, self._name = lake, name
        self.version: int = lake.table(name).version()
        for entry in self._log.iterdir():
            os.utime(entry, (made_at.timestamp(), made_at.timestamp()))

    def commit(self, rows: pa.Table, at: datetime, *, instead_of: str | None = None) -> str:
        """Add rows, in one file. Returns the file's name.

        Args:
            at: when the commit is said to be made
            instead_of: name of a file whose rows these replace
        """
        name = f"part-00000-{uuid.uuid4()}-c000.snappy.parquet"
        pq.write_table(rows, self._folder / name)
        moment = int(at.timestamp() * 1000)
        entries: list[dict[str, Any]] = [
            {"commitInfo": {"timestamp": moment, "operation": "MERGE" if instead_of else "WRITE"}},
            {
                "add": {
                    "path": name,
                    "partitionValues": {},
                    "size": (self._folder / name).stat().st_size,
                    "modificationTime": moment,
                    "dataChange": True,
                    "stats": json.dumps(_statistics(rows)),
                }
            },
        ]
        if instead_of is not None:
            removed = {"path": instead_of, "deletionTimestamp": moment, "dataChange": True}
            entries.append({"remove": removed})
        self.version += 1
        entry = self._log / f"{self.version:020}.json"
        entry.write_text("".join(f"{json.dumps(one)}\n" for one in entries))
        for path in (entry, self._folder / name):
            os.utime(path, (at.timestamp(), at.timestamp()))
        return name

    def checkpoint(self, at: datetime) -> None:
        """Sum the log up, and remove what is older than a table keeps: 30 days."""
        table = self._lake.table(self._name)
        table.create_checkpoint()
        for path in self._log.glob(f"{self.version:020}.checkpoint*"):
            os.utime(path, (at.timestamp(), at.timestamp()))
        table.cleanup_metadata()

    @property
    def _log(self) -> Path:
        return self._folder / "_delta_log"


def _statistics(rows: pa.Table) -> dict[str, Any]:
    least: dict[str, Any] = {}
    most: dict[str, Any] = {}
    nulls: dict[str, int] = {}
    for name in rows.column_names[:_COUNTED]:
        if pa.types.is_nested(rows.schema.field(name).type):
            continue
        nulls[name] = rows[name].null_count
        found = pc.min_max(rows[name]).as_py()
        if found["min"] is not None:
            least[name], most[name] = _json(found["min"]), _json(found["max"], last=True)
    bounds = {"minValues": least, "maxValues": most}
    return {"numRecords": rows.num_rows, **bounds, "nullCount": nulls}


def _json(value: Any, *, last: bool = False) -> Any:
    """A bound of a column. A text that is cut stays one: at the end, with the last character."""
    if isinstance(value, datetime):
        return value.isoformat(timespec="milliseconds").replace("+00:00", "Z")
    if isinstance(value, str) and len(value) > _CHARACTERS:
        return value[:_CHARACTERS] + ("\U0010ffff" if last else "")
    return value
