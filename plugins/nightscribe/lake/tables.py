"""The tables of a lake: their live files, and commits that happen exactly once.

There are four ways to write:

- `append` adds rows that no other process can have, because they have a fresh id.
- `insert_new` adds rows whose key is not in the table. It is atomic: if two processes insert the
  same key at the same moment, one of them inserts it and the other skips it.
- `upsert` replaces the rows with the same key, in one commit.
- `delete` removes the rows with a key, in one commit. Earlier versions of the table keep them.

Delta Lake refuses a commit if another commit with the same *application transaction* id was made
after the writer took its snapshot. All commits but those of `append` to a table carry the
same id, those of maintenance too (`change`). So "read the keys, then append the missing rows" is a
compare-and-swap: after a refusal, the writer checks the files that were added since, and tries
again.

A table with the column `sequence` has its commits numbered, so that the order of its rows does not
depend on clocks. The number is the version that the commit makes of the state that the writer has
read. All commits to such a table are conditional, also those of `append`: a writer whose state is
not the newest is refused, so a later commit always has a higher number.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeAlias, TypeVar

import duckdb
import pyarrow as pa
from deltalake import CommitProperties, DeltaTable, Transaction, write_deltalake
from deltalake.exceptions import CommitFailedError, DeltaError, TableNotFoundError
from deltalake.table import TableMerger

from nightscribe.errors import BusyError, LakeError
from nightscribe.faults import reason_of
from nightscribe.lake.connections import new_connection
from nightscribe.lake.damage import check_log, lost_versions, overlooked_entry, table_fault
from nightscribe.lake.location import LakeLocation
from nightscribe.lake.log import read_log
from nightscribe.lake.published import published_versions
from nightscribe.lake.reading import relation
from nightscribe.lake.schema import ADDED_LATER, SEQUENCE, WRITTEN_SCHEMAS

__all__ = ["Lake", "Note", "deleted_up_to"]

Note: TypeAlias = Callable[[DeltaTable], tuple[dict[str, str], list[Transaction]]]
"""From the state that a commit replaces: metadata and transactions to record with the commit."""

T = TypeVar("T")

_WRITERS = "nightscribe"
"""Application-transaction id of all conditional commits to a table."""

_ATTEMPTS = 60
"""Attempts at a conditional commit. Each failed attempt means that another process committed, so
the attempts run out only if sixty commits of others come first."""


@dataclass(frozen=True)
class Lake(LakeLocation):
    """A lake: its location and its tables."""

    # Table → the newest version whose log was examined: a listing of an object store takes time.
    _examined: dict[str, int] = field(default_factory=dict, repr=False, compare=False)

    def sql(self, query: str, /, **parameters: Any) -> duckdb.DuckDBPyRelation:
        """The rows of one query over the lake's views.

        The relation converts itself: `.df()` (pandas), `.pl()` (polars), `.to_arrow_table()`,
        `.fetchall()`; in a notebook it shows its first rows. It has the tables as they were at this
        call, and reads them at each conversion, which may raise `duckdb.Error`. The query can only
        read, and only the lake.

        Args:
            parameters: values for `$name` in the query

        Raises:
            ConfigurationError: the text is not one statement, or the statement is not a query.
            duckdb.Error: the query fails.
            LakeError: a table that it reads cannot be opened.
        """
        return relation(self, query, parameters or None)

    def table(self, name: str) -> DeltaTable:
        """The Delta table at its newest version.

        Raises `LakeError` if it does not exist, or if its log is damaged or cannot be read.
        """
        try:
            table = self._newest(name)
            if self.is_local or self._examined.get(name, -1) < table.version():
                newest = check_log(self, name)
                if table.version() < newest:  # committed meanwhile; or delta-rs overlooked it
                    table = self._newest(name)
                    if table.version() < newest:
                        raise overlooked_entry(self, name, newest)
                self._examined[name] = table.version()
            return table
        except TableNotFoundError as error:
            if (published := published_versions(self).get(name)) is not None:
                raise lost_versions(self, name, -1, published) from error
            raise LakeError(
                f"lake {self.uri} has no table {name!r}: Nightscribe did not create it, or was "
                f"stopped before it did; `nightscribe sql --lake {self.uri} 'SELECT 1'` creates it"
            ) from error
        except (OSError, DeltaError) as error:
            raise table_fault(self, name, error) from error

    def _newest(self, name: str) -> DeltaTable:
        return DeltaTable(self.path(name), storage_options=self.delta_options)

    def table_if_made(self, name: str) -> DeltaTable | None:
        """Like `table`, but None for a table that an older lake does not have yet."""
        try:
            return self.table(name)
        except LakeError:
            # Listed only now: it takes a request to an object store, and most tables are there.
            if name not in ADDED_LATER:
                raise
            if not self._has_log(name):
                return None
        return self.table(name)  # it is damaged, which is said again, or was made meanwhile

    def versions(self) -> dict[str, int]:
        """The version of each table; -1 for one that an older lake does not have yet."""
        tables = {name: self.table_if_made(name) for name in WRITTEN_SCHEMAS}
        return {name: -1 if table is None else table.version() for name, table in tables.items()}

    def _has_log(self, name: str) -> bool:
        try:
            return read_log(self, name) is not None
        except OSError as error:
            raise table_fault(self, name, error) from error

    def files(self, name: str, table: DeltaTable) -> list[str]:
        """The Parquet files of a table that were live when `table` was opened."""
        # delta-rs percent-encodes the path of the table. All files are directly in its folder.
        return sorted(self.path(name, uri.rpartition("/")[2]) for uri in table.file_uris())

    def append(self, name: str, rows: pa.Table) -> None:
        """Add rows that are new by construction. Without rows there is no commit."""
        rows = rows.cast(WRITTEN_SCHEMAS[name])
        if rows.num_rows == 0:
            return
        transactions = [_WRITERS] if SEQUENCE in rows.column_names else None
        for attempt in range(_ATTEMPTS):
            table = self.table(name)
            try:
                self._write(table, _numbered(rows, table), transactions)
                return
            except CommitFailedError:
                _wait_for_others(attempt)
        raise _too_busy(self.path(name))

    def insert_new(
        self, name: str, rows: pa.Table, key: Sequence[str], transactions: Iterable[str] = ()
    ) -> pa.Table:
        """Add the rows whose key is not in the table, in one atomic commit. Returns the added rows.

        Args:
            rows: in the table's schema; of rows with the same key, the first is taken
            key: columns that identify a row
            transactions: application-transaction ids to record with the commit, even if there are
                no new rows; see `was_committed`

        Raises:
            LakeError: the table cannot be written, or other processes always commit first.
        """
        rows = _first_of_each(rows.cast(WRITTEN_SCHEMAS[name]), key)
        checked: set[str] = set()
        for attempt in range(_ATTEMPTS):
            table = self.table(name)
            files = set(self.files(name, table))
            try:
                rows = self._without_known(rows, files - checked, key)
            except (OSError, duckdb.Error):
                if self._is_overtaken(name, table):
                    continue
                raise
            checked |= files
            if rows.num_rows == 0 and not transactions:
                return rows
            try:
                numbered = _numbered(rows, table)
                self._write(table, numbered, [_WRITERS, *transactions])
                return numbered
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
        note: Note | None = None,
    ) -> None:
        """Replace the rows with the same key and add the others, in one atomic commit.

        A row whose values are already in the table is not written again.

        Args:
            rows: in the table's schema; of rows with the same key, the last is taken
            key: columns that identify a row
            transactions: as for `insert_new`, but nothing is committed without rows
            restamp: also write rows that differ only in `run_id` and `created_at`
            note: gives what else to record with the commit

        Raises:
            LakeError: the table cannot be written, or other processes always commit first.
        """
        schema = WRITTEN_SCHEMAS[name]
        rows = _first_of_each(rows.cast(schema)[::-1], key)
        contents = [c for c in schema.names if c not in {*key, SEQUENCE, "run_id", "created_at"}]
        differs = " OR ".join(f'(t."{c}" IS DISTINCT FROM s."{c}")' for c in contents)
        if rows.num_rows == 0:
            return
        self._merge(
            name,
            rows,
            key,
            transactions,
            lambda merger: merger.when_matched_update_all(
                predicate=None if restamp else differs
            ).when_not_matched_insert_all(),
            note,
        )

    def delete(
        self, name: str, keys: pa.Table, key: Sequence[str], note: Note | None = None
    ) -> None:
        """Remove the rows whose key is in `keys`, in one atomic commit.

        Args:
            keys: rows with the columns `key`; no two are the same
            note: as for `upsert`; nothing is committed if the table has none of the keys

        Raises:
            LakeError: the table cannot be written, or other processes always commit first.
        """
        if keys.num_rows:
            self._merge(name, keys, key, (), lambda merger: merger.when_matched_delete(), note)

    def _merge(
        self,
        name: str,
        rows: pa.Table,
        key: Sequence[str],
        transactions: Iterable[str],
        complete: Callable[[TableMerger], TableMerger],
        note: Note | None,
    ) -> None:
        """Commit a merge of rows, `s`, with the rows of the table that have the same key, `t`."""
        same_key = " AND ".join(f'(t."{c}" IS NOT DISTINCT FROM s."{c}")' for c in key)
        for attempt in range(_ATTEMPTS):
            table = self.table(name)
            try:
                metadata, noted = ({}, []) if note is None else note(table)
                merger = table.merge(
                    _numbered(rows, table),
                    predicate=same_key,
                    source_alias="s",
                    target_alias="t",
                    commit_properties=_transactions([_WRITERS, *transactions], noted, metadata),
                )
                complete(merger).execute()
                return
            except CommitFailedError:
                _wait_for_others(attempt)
            except (OSError, DeltaError) as error:
                if not self._is_overtaken(name, table):
                    raise _write_failed(self.path(name), error) from error
        raise _too_busy(self.path(name))

    def change(
        self,
        name: str,
        act: Callable[[DeltaTable, CommitProperties], T],
        attempts: int = _ATTEMPTS,
    ) -> T:
        """Commit what changes no row of a table, such as a rearrangement of its files.

        Args:
            act: is given the table at its newest version, and what to record with each commit
            attempts: calls of `act` at most; one that another commit overtakes is repeated

        Raises:
            BusyError: other processes always commit first.
            LakeError: the table cannot be written.
        """
        for attempt in range(attempts):
            table = self.table(name)
            try:
                return act(table, _transactions([_WRITERS]))
            except CommitFailedError:
                _wait_for_others(attempt)
            except (OSError, DeltaError) as error:
                if not self._is_overtaken(name, table):
                    raise _write_failed(self.path(name), error) from error
        raise _too_busy(self.path(name), attempts)

    def mark(self, name: str, transaction: Transaction) -> None:
        """Record a transaction with a commit that changes no row."""
        try:
            table = self.table(name)
            table.create_write_transaction(
                actions=[],
                mode="append",
                schema=table.schema(),
                partition_by=[],
                commit_properties=CommitProperties(app_transactions=[transaction]),
            )
        except CommitFailedError as error:
            raise _too_busy(self.path(name)) from error
        except (OSError, DeltaError) as error:
            raise _write_failed(self.path(name), error) from error

    def _is_overtaken(self, name: str, table: DeltaTable) -> bool:
        """Whether a newer version may be why something failed: its files may be gone already."""
        return bool(self.table(name).version() > table.version())

    def was_committed(self, name: str, transaction: str) -> bool:
        """Whether the table has a commit with this application-transaction id."""
        return self.table(name).transaction_version(transaction) is not None

    def _without_known(self, rows: pa.Table, files: set[str], key: Sequence[str]) -> pa.Table:
        """The rows whose key is in none of these files."""
        if not files or rows.num_rows == 0:
            return rows
        same = " AND ".join(f'known."{c}" IS NOT DISTINCT FROM new_rows."{c}"' for c in key)
        columns = ", ".join(f'"{c}"' for c in key)
        with new_connection() as connection:
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


def deleted_up_to(transaction: str, version: int) -> Note:
    """A note with a deletion that goes up to a version of `transcripts`; see `REPLACED`."""

    def note(table: DeltaTable) -> tuple[dict[str, str], list[Transaction]]:
        # Another process may have deleted more in the meantime.
        done = table.transaction_version(transaction) or -1
        return {}, [Transaction(transaction, max(version, done))]

    return note


def _numbered(rows: pa.Table, table: DeltaTable) -> pa.Table:
    """The rows with the number of a commit on top of this state, if they have a column for it."""
    if SEQUENCE not in rows.column_names:
        return rows
    place = rows.column_names.index(SEQUENCE)
    number = pa.scalar(table.version() + 1, pa.int64())
    return rows.set_column(place, rows.schema.field(place), pa.repeat(number, rows.num_rows))


def _transactions(
    names: Sequence[str],
    noted: Sequence[Transaction] = (),
    metadata: dict[str, str] | None = None,
) -> CommitProperties:
    # Only the presence of the id counts; nothing compares the version.
    stamp = time.time_ns()
    return CommitProperties(
        app_transactions=[*(Transaction(name, stamp) for name in names), *noted],
        custom_metadata=metadata or None,
    )


def _wait_for_others(attempt: int) -> None:
    time.sleep(random.uniform(0, min(2.0, 0.02 * 1.5**attempt)))


def _too_busy(target: str, attempts: int = _ATTEMPTS) -> BusyError:
    return BusyError(
        f"could not commit to {target}: {attempts} other commits came first; run again when "
        "fewer processes write to this lake"
    )


def _write_failed(target: str, error: Exception) -> LakeError:
    return LakeError(
        f"writing to {target} failed: {reason_of(error, [target])}. Nothing of this commit is "
        "visible"
    )


def _first_of_each(rows: pa.Table, key: Sequence[str]) -> pa.Table:
    """The rows without those whose key occurred before."""
    columns = [rows.column(name).to_pylist() for name in key]
    seen: set[tuple[Any, ...]] = set()
    keep = []
    for index, values in enumerate(zip(*columns, strict=True)):
        if values not in seen:
            seen.add(values)
            keep.append(index)
    return rows if len(keep) == rows.num_rows else rows.take(pa.array(keep, pa.int64()))
