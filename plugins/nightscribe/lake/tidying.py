"""Keep a table small: few large files, a short log, and no file that no version in use needs."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta

from deltalake import CommitProperties, DeltaTable, WriterProperties

from nightscribe.lake.log import read_log
from nightscribe.lake.tables import Lake

__all__ = ["Size", "compact", "shorten_log", "size_of", "vacuum"]

TARGET_BYTES = 128 * 1024 * 1024
"""Of a compacted file, about. Larger ones make DuckDB no faster and every rewrite slower."""

_ATTEMPTS = 5
"""At a compaction. Each takes the whole table's time again, and next week is early enough."""

_KEPT = ("delta.logRetentionDuration", "delta.deletedFileRetentionDuration")


@dataclass(frozen=True)
class Size:
    """How much there is of a table.

    Attributes:
        files, size_bytes: Parquet files of the newest version
        entries: files of its log
    """

    files: int
    size_bytes: int
    entries: int


def size_of(lake: Lake, name: str) -> Size:
    """The size of a table. Raises `LakeError`."""
    actions = lake.table(name).get_add_actions()
    sizes = actions["size_bytes"].to_pylist()
    return Size(len(sizes), sum(sizes), len(read_log(lake, name) or {}))


def compact(lake: Lake, name: str) -> None:
    """Rewrite small files of a table as few large ones, in one commit; there may be none to do.

    Readers of an older version still find its files, until `vacuum` removes them. Raises
    `LakeError`: the table cannot be written, or is too busy.
    """

    def act(table: DeltaTable, properties: CommitProperties) -> None:
        table.optimize.compact(
            target_size=TARGET_BYTES,
            max_concurrent_tasks=1,  # each holds a file's worth of rows
            writer_properties=WriterProperties(compression="ZSTD"),
            commit_properties=properties,
        )

    lake.change(name, act, _ATTEMPTS)


def shorten_log(lake: Lake, name: str, keep: timedelta) -> None:
    """Sum a table's log up in a checkpoint, and remove entries that are older than `keep`.

    Older versions of the table than these cannot be opened any more. The table keeps the duration
    as its property: delta-rs removes older entries with every checkpoint, and forgets files that
    were replaced before then. Raises `LakeError`.
    """
    wanted = dict.fromkeys(_KEPT, f"interval {_hours(keep)} hours")

    def note(table: DeltaTable, properties: CommitProperties) -> None:
        if not wanted.items() <= table.metadata().configuration.items():
            table.alter.set_table_properties(wanted, commit_properties=properties)

    def clean(table: DeltaTable, _: CommitProperties) -> None:
        if f"{table.version():020d}.checkpoint.parquet" not in (read_log(lake, name) or {}):
            table.create_checkpoint()
        table.cleanup_metadata()

    lake.change(name, note)
    lake.change(name, clean)


def vacuum(lake: Lake, name: str, keep: timedelta) -> int:
    """Remove files that no version of the last `keep` names; returns how many.

    These are files that a deletion, a replacement or a compaction has left before then, and files
    of that age that no commit names, since their writer was killed. Raises `LakeError`.
    """
    hours = _hours(keep)

    def act(table: DeltaTable, properties: CommitProperties) -> int:
        # Without files there would still be two commits that say so.
        old = table.vacuum(hours, dry_run=True, enforce_retention_duration=False, full=True)
        if old:
            table.vacuum(
                hours,
                dry_run=False,
                enforce_retention_duration=False,
                full=True,
                commit_properties=properties,
            )
        return len(old)

    return lake.change(name, act)


def _hours(keep: timedelta) -> int:
    return int(keep.total_seconds() // 3600)
