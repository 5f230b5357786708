"""The tables of a lake: their live files, and commits that happen exactly once.

Three ways to write, from weak to strong:

- `append`: rows that nobody else can have (they carry a fresh id).
- `insert_new`: rows whose key is not in the table yet. Atomic: of two processes that
  insert the same key at the same moment, one inserts it and the other leaves it out.
- `upsert`: rows that replace those with the same key, in one commit.

Delta Lake refuses a commit if another one with the same *application transaction* landed
since its snapshot was taken. `insert_new` and `upsert` give all their commits to a table
one such id, which makes "read the keys, then append what is missing" a compare-and-swap: after
a refusal, the writer looks only at the files that were added since, and tries again.
"""

from __future__ import annotations

import random
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import duckdb
import pyarrow as pa
from deltalake import CommitProperties, DeltaTable, Transaction, write_deltalake
from deltalake.exceptions import CommitFailedError, DeltaError, TableNotFoundError

from nightscribe.errors import LakeError
from nightscribe.lake.location import LakeLocation
from nightscribe.lake.schema import ADDED_LATER, SCHEMAS

__all__ = ["Lake"]

_WRITERS = "nightscribe"
"""Application-transaction id shared by all conditional commits to a table."""


_ATTEMPTS = 60
"""Tries of a conditional commit. Each loss means that somebody else's commit won, so a
process can only run out when sixty others in a row were faster."""


@dataclass(frozen=True)
class Lake(LakeLocation):
    """The tables of a lake."""

    def table(self, name: str) -> DeltaTable:
        """The Delta table at its newest version."""
        try:
            return DeltaTable(self.path(name), storage_options=self.delta_options)
        except TableNotFoundError as error:
            raise LakeError(
                f"lake {self.uri} has no table {name!r}: it was not made by Nightscribe, or only "
                f"in part; open it once with `nightscribe sql --lake {self.uri} 'select 1'`"
            ) from error

    def table_if_made(self, name: str) -> DeltaTable | None:
        """As `table`; None for a table that the lake's older Nightscribe did not know."""
        try:
            return self.table(name)
        except LakeError:
            if name in ADDED_LATER:
                return None
            raise

    def files(self, name: str, table: DeltaTable) -> list[str]:
        """The Parquet files of a table that were live when `table` was opened."""
        # delta-rs percent-encodes the path of the table; the files lie right in its folder.
        return sorted(self.path(name, uri.rpartition("/")[2]) for uri in table.file_uris())

    def append(self, name: str, rows: pa.Table) -> None:
        """Add rows whose identity is new by construction. Empty tables make no commit."""
        if rows.num_rows:
            try:
                self._write(self.table(name), rows.cast(SCHEMAS[name]), None)
            except CommitFailedError as error:  # delta-rs has tried again by itself
                raise _too_busy(self.path(name)) from error

    def insert_new(
        self, name: str, rows: pa.Table, key: Sequence[str], transactions: Iterable[str] = ()
    ) -> pa.Table:
        """Add those rows whose `key` columns are not in the table yet, in one atomic commit.

        Rows that repeat a key within `rows` are reduced to the first. `transactions` are
        application-transaction ids to leave in the log with the commit (see `was_committed`).
        Returns the rows that were added.
        """
        rows = _first_of_each(rows.cast(SCHEMAS[name]), key)
        checked: set[str] = set()
        for attempt in range(_ATTEMPTS):
            table = self.table(name)
            files = set(self.files(name, table))
            rows = self._without_known(rows, files - checked, key)
            checked |= files
            if rows.num_rows == 0 and not transactions:
                return rows
            try:
                self._write(table, rows, [_WRITERS, *transactions])
                return rows
            except CommitFailedError:
                _wait_for_others(attempt)
        raise _too_busy(self.path(name))

    def upsert(
        self,
        name: str,
        rows: pa.Table,
        key: Sequence[str],
        transactions: Iterable[str] = (),
        *,
        restamp: bool = False,
    ) -> None:
        """Replace rows with the same `key`, add the others, in one atomic commit.

        Of rows that repeat a key within `rows`, the last counts. Rows already in the table
        that are equal in every column but `run_id` and `created_at` are left alone, unless
        `restamp` asks for these two to be renewed.
        """
        schema = SCHEMAS[name]
        rows = _first_of_each(rows.cast(schema)[::-1], key)
        same_key = " AND ".join(f'(t."{c}" IS NOT DISTINCT FROM s."{c}")' for c in key)
        contents = [c for c in schema.names if c not in {*key, "run_id", "created_at"}]
        differs = " OR ".join(f'(t."{c}" IS DISTINCT FROM s."{c}")' for c in contents)
        if rows.num_rows == 0:
            return
        for attempt in range(_ATTEMPTS):
            try:
                (
                    self.table(name)
                    .merge(
                        rows,
                        predicate=same_key,
                        source_alias="s",
                        target_alias="t",
                        commit_properties=_transactions([_WRITERS, *transactions]),
                    )
                    .when_matched_update_all(predicate=None if restamp else differs)
                    .when_not_matched_insert_all()
                    .execute()
                )
                return
            except CommitFailedError:
                _wait_for_others(attempt)
            except (OSError, DeltaError) as error:
                raise _write_failed(self.path(name), error) from error
        raise _too_busy(self.path(name))

    def was_committed(self, name: str, transaction: str) -> bool:
        """Whether a commit that carried this application-transaction id is in the table."""
        return self.table(name).transaction_version(transaction) is not None

    def _without_known(self, rows: pa.Table, files: set[str], key: Sequence[str]) -> pa.Table:
        if not files or rows.num_rows == 0:
            return rows
        same = " AND ".join(f'known."{c}" IS NOT DISTINCT FROM new_rows."{c}"' for c in key)
        columns = ", ".join(f'"{c}"' for c in key)
        with duckdb.connect() as connection:
            if not self.is_local:
                connection.register_filesystem(self.filesystem)
            connection.register("new_rows", rows)
            return (
                connection.sql(
                    "SELECT * FROM new_rows WHERE NOT EXISTS (SELECT 1 FROM "
                    f"(SELECT {columns} FROM read_parquet($files)) AS known WHERE {same})",
                    params={"files": sorted(files)},
                )
                .to_arrow_table()
                .cast(rows.schema)
            )

    def _write(self, table: DeltaTable, rows: pa.Table, transactions: Sequence[str] | None) -> None:
        try:
            write_deltalake(
                table,
                rows,
                mode="append",
                commit_properties=_transactions(transactions) if transactions else None,
            )
        except CommitFailedError:
            raise
        except (OSError, DeltaError) as error:
            raise _write_failed(table.table_uri, error) from error


def _transactions(names: Sequence[str]) -> CommitProperties:
    # The version is not compared by anyone: that the id is present is what counts.
    stamp = time.time_ns()
    return CommitProperties(app_transactions=[Transaction(name, stamp) for name in names])


def _wait_for_others(attempt: int) -> None:
    time.sleep(random.uniform(0, min(2.0, 0.02 * 1.5**attempt)))


def _too_busy(target: str) -> LakeError:
    return LakeError(
        f"could not commit to {target}: {_ATTEMPTS} other commits came first; run again when "
        "fewer processes write to this lake"
    )


def _write_failed(target: str, error: Exception) -> LakeError:
    return LakeError(
        f"writing to {target} failed: {error}. Nothing of this commit is visible: mend the cause "
        "(space, permission, network), then run again"
    )


def _first_of_each(rows: pa.Table, key: Sequence[str]) -> pa.Table:
    columns = [rows.column(name).to_pylist() for name in key]
    seen: set[tuple[Any, ...]] = set()
    keep = []
    for index, values in enumerate(zip(*columns, strict=True)):
        if values not in seen:
            seen.add(values)
            keep.append(index)
    return rows if len(keep) == rows.num_rows else rows.take(pa.array(keep, pa.int64()))
