"""Remove the older versions of tables, so that nothing that was deleted can be read any more.

Log entries stay, since a writer that has been waiting might take the number of one that is gone,
and its commit would be lost. But they have the least and the greatest text of every file, and these
are taken out.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import pyarrow.parquet as pq

from nightscribe.lake.aged import modified_at
from nightscribe.lake.log import read_log
from nightscribe.lake.tables import Lake

__all__ = ["Purged", "purge"]

_WRITING = timedelta(hours=1)
"""Age of a file that no commit names, and that no writer will commit any more."""


@dataclass(frozen=True)
class Purged:
    """Files that were removed, and files that a writer may still be going to commit."""

    removed: int
    waiting: int


def purge(lake: Lake, names: Iterable[str]) -> Purged:
    """Remove all files that the newest versions of these tables do not name.

    Readers of an older version, such as an open catalog, find their files gone. Raises `LakeError`,
    `OSError`.
    """
    removed = waiting = 0
    before = datetime.now(UTC) - _WRITING
    for name in names:
        if lake.table_if_made(name) is None:
            continue
        # In this order: what is committed meanwhile is in none, or in the last.
        committed = _committed(lake, name)
        files = {
            file: info for file, info in lake.listed(name).items() if file.endswith(".parquet")
        }
        live = {uri.rpartition("/")[2] for uri in lake.table(name).file_uris()}
        _strip_log(lake, name, live)
        for file in sorted(files.keys() - live):
            if file in committed or modified_at(files[file]) < before:
                lake.filesystem.rm_file(lake.native_path(f"{name}/{file}"))
                removed += 1
            else:
                waiting += 1
    return Purged(removed, waiting)


def _strip_log(lake: Lake, name: str, live: set[str]) -> None:
    """Leave nothing in a table's log of the content of files that are not live."""
    table = lake.table(name)
    entries = sorted(read_log(lake, name) or {})
    newest = f"{table.version():020d}."
    if any(entry.endswith(".parquet") for entry in entries):  # instead of those of older versions
        table.create_checkpoint()
    for entry in entries:
        path = f"{name}/_delta_log/{entry}"
        if entry.endswith(".parquet") and not entry.startswith(newest):
            lake.filesystem.rm_file(lake.native_path(path))
        elif entry.endswith(".json"):
            content = lake.filesystem.cat_file(lake.native_path(path))
            if (stripped := _stripped(content, live)) != content:
                lake.put_file(path, stripped)


def _stripped(content: bytes, live: set[str]) -> bytes:
    lines = []
    for line in content.splitlines(keepends=True):
        action = json.loads(line)
        about = action.get("add") or action.get("remove") or {}
        if about.get("stats") and about["path"] not in live:
            del about["stats"]
            line = json.dumps(action, separators=(",", ":")).encode() + b"\n"
        lines.append(line)
    return b"".join(lines)


def _committed(lake: Lake, name: str) -> set[str]:
    """The files that any commit of a table's log names."""
    found: set[str] = set()
    for entry in read_log(lake, name) or {}:
        path = lake.native_path(f"{name}/_delta_log/{entry}")
        if entry.endswith(".json"):
            lines = lake.filesystem.cat_file(path).splitlines()
            found |= {place for line in lines for place in _paths(json.loads(line))}
        elif entry.endswith(".parquet"):
            with lake.filesystem.open(path, "rb") as file:
                for batch in pq.ParquetFile(file).iter_batches(columns=["add.path", "remove.path"]):
                    found |= {place for row in batch.to_pylist() for place in _paths(row)}
    return found


def _paths(action: Mapping[str, Any]) -> list[str]:
    abouts = (action.get("add"), action.get("remove"))
    return [str(about["path"]) for about in abouts if about and about.get("path")]
