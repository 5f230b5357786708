"""Open a lake, read its live files, commit rows exactly once.

Three ways to write, from weak to strong:

- `append`: rows that nobody else can have (they carry a fresh id).
- `insert_new`: rows whose key is not in the table yet. Atomic: of two processes that
  insert the same key at the same moment, one inserts it and the other leaves it out.
- `upsert`: rows that replace those with the same key, in one commit.

Delta Lake refuses a commit if another one with the same *application transaction* landed
since its snapshot was taken. `insert_new` and `upsert` give all their commits to a table
one such id, which makes "read the keys, then append what is missing" a compare-and-swap:
when it is refused, only the files that have come since are looked at, and it is tried again.
"""

from __future__ import annotations

import contextlib
import json
import os
import random
import re
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import duckdb
import fsspec
import pyarrow as pa
import pyarrow.parquet as pq
from deltalake import CommitProperties, DeltaTable, Transaction, write_deltalake
from deltalake.exceptions import CommitFailedError, DeltaError, TableNotFoundError

from nightscribe.errors import ConfigurationError, LakeError
from nightscribe.lake.schema import ADDED_LATER, LAKE_FORMAT, SCHEMAS
from nightscribe.storage import locate

_WRITERS = "nightscribe"
"""Application-transaction id shared by all conditional commits to a table."""

_ATTEMPTS = 60
"""Tries of a conditional commit. Each loss means that somebody else's commit won, so a
process can only run out when sixty others in a row were faster."""


@dataclass(frozen=True)
class Lake:
    """A folder, or an object-store prefix, that holds the tables.

    `storage_options` are those of delta-rs (`aws_access_key_id`, `aws_endpoint_url` …), for
    lakes whose credentials do not come from the cloud's own chain.
    """

    uri: str
    storage_options: dict[str, str] = field(default_factory=dict, repr=False)

    @cached_property
    def filesystem(self) -> Any:
        """fsspec's filesystem for this lake."""
        return _filesystem(self.uri, self.storage_options)

    @cached_property
    def delta_options(self) -> dict[str, str] | None:
        """`storage_options` as delta-rs needs them."""
        options = dict(self.storage_options)
        endpoint = options.get("aws_endpoint_url", os.environ.get("AWS_ENDPOINT_URL", ""))
        if self.uri.startswith("s3://") and endpoint.startswith("http://"):
            # Who names such an endpoint means it; delta-rs wants to be told again.
            options["aws_allow_http"] = "true"
        return options or None

    def path(self, *parts: str) -> str:
        """URI of something in the lake."""
        return "/".join([self.uri, *parts])

    def table(self, name: str) -> DeltaTable:
        """The Delta table at its newest version."""
        try:
            return DeltaTable(self.path(name), storage_options=self.delta_options)
        except TableNotFoundError as error:
            raise LakeError(
                f"lake {self.uri} has no table {name!r}: it was not made by Nightscribe, or only "
                f"in part; open it once with `nightscribe sql --lake {self.uri} 'select 1'`"
            ) from error

    def files(self, name: str, table: DeltaTable | None = None) -> list[str]:
        """The Parquet files of a table that are live now, or were when `table` was opened.

        None of a table that an older Nightscribe did not make, in a lake that cannot be written to.
        """
        if table is None:
            try:
                table = self.table(name)
            except LakeError:
                if name in ADDED_LATER:
                    return []
                raise
        # delta-rs percent-encodes the path of the table; the files lie right in its folder.
        return sorted(self.path(name, uri.rpartition("/")[2]) for uri in table.file_uris())

    def read(self, query: str, **parameters: Any) -> pa.Table:
        """Run SQL over the lake's views (see `nightscribe.lake.catalog`); rows as Arrow."""
        from nightscribe.lake.catalog import connect

        with connect(self) as connection:
            return connection.sql(query, params=parameters or None).to_arrow_table()

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

    def write_spec(self, path: str, rows: pa.Table | pa.RecordBatchReader) -> str:
        """Keep the description of a piece of work in the lake; returns `path`.

        Tasks pass each other these paths instead of the rows, which can be many. Of a reader,
        one batch is in memory at a time.
        """
        batches = rows.to_reader() if isinstance(rows, pa.Table) else rows
        with (
            self.filesystem.open(self._native(path), "wb") as file,
            pq.ParquetWriter(file, rows.schema, compression="zstd") as writer,
        ):
            for batch in batches:
                writer.write_batch(batch)
        return path

    def has_spec(self, path: str) -> bool:
        """Whether there is such a description."""
        return bool(self.filesystem.exists(self._native(path)))

    def read_spec(self, path: str) -> pa.Table:
        """Rows of a description that `write_spec` kept."""
        try:
            with self.filesystem.open(self._native(path), "rb") as file:
                return pq.read_table(file)
        except FileNotFoundError as error:
            raise LakeError(
                f"{self.path(path)}, which says what this task is to do, is not there: start a new "
                "run instead of retrying this one (was the run begun on another lake?)"
            ) from error

    def put_file(self, path: str, data: bytes) -> str:
        """Store a file (a report, an export) in the lake; readers see the old one or the new one.

        Returns its URI.
        """
        target = self._native(path)
        if _is_local(self.uri):
            temporary = Path(f"{target}.{random.getrandbits(64):016x}.tmp")
            temporary.write_bytes(data)
            temporary.replace(target)
        else:
            self.filesystem.pipe_file(target, data)
        return self.path(path)

    def _native(self, path: str) -> str:
        target: str = self.filesystem._strip_protocol(self.path(path))
        if _is_local(self.uri):  # an object store has no folders, and would make a bucket
            Path(target).parent.mkdir(parents=True, exist_ok=True)
        return target

    def _without_known(self, rows: pa.Table, files: set[str], key: Sequence[str]) -> pa.Table:
        if not files or rows.num_rows == 0:
            return rows
        same = " AND ".join(f'known."{c}" IS NOT DISTINCT FROM new_rows."{c}"' for c in key)
        columns = ", ".join(f'"{c}"' for c in key)
        with duckdb.connect() as connection:
            if not _is_local(self.uri):
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


def open_lake(uri: str, storage_options: dict[str, str] | None = None) -> Lake:
    """Open a lake, making the tables that it lacks.

    Raises `LakeError` if it was written in a newer format or cannot be written to, and
    `ConfigurationError` if its URI cannot be used.
    """
    lake = Lake(_normalised(uri), dict(storage_options or {}))
    try:
        found = _read_format(lake)
        if found is None:
            lake.put_file("lake.json", json.dumps({"format": LAKE_FORMAT}).encode() + b"\n")
        elif found > LAKE_FORMAT:
            raise LakeError(
                f"lake {lake.uri} has format {found}, written by a newer Nightscribe; this one "
                f"reads up to {LAKE_FORMAT}: upgrade nightscribe, or name another lake"
            )
        for name, schema in SCHEMAS.items():
            # Who may only read a lake need not have what it has nothing in.
            refusals = (OSError, DeltaError) if found and name in ADDED_LATER else ()
            with contextlib.suppress(*refusals):
                if not DeltaTable.is_deltatable(lake.path(name), lake.delta_options):
                    _create_table(lake, name, schema)
    except (OSError, DeltaError) as error:
        raise LakeError(f"lake {lake.uri} cannot be opened: {error}") from error
    return lake


def _create_table(lake: Lake, name: str, schema: pa.Schema) -> None:
    # Tried again, the creation would be committed on top of another process's.
    once = CommitProperties(max_commit_retries=0)
    with contextlib.suppress(CommitFailedError):
        DeltaTable.create(
            lake.path(name),
            schema,
            mode="ignore",
            name=name,
            storage_options=lake.delta_options,
            commit_properties=once,
        )
    lake.table(name)  # whoever made it, it is there


def lake_exists(uri: str, storage_options: dict[str, str] | None = None) -> bool:
    """Whether there is a lake at this URI."""
    return _read_format(Lake(_normalised(uri), dict(storage_options or {}))) is not None


def _read_format(lake: Lake) -> int | None:
    path = lake.filesystem._strip_protocol(lake.path("lake.json"))
    try:
        content = json.loads(lake.filesystem.cat_file(path))
        return int(content["format"])
    except FileNotFoundError:
        return None
    except (ValueError, KeyError, TypeError) as error:
        raise LakeError(f'{lake.path("lake.json")} is damaged: expected {{"format": 1}}') from error
    except Exception as error:
        # Each store has its own exceptions for refused or missing credentials.
        raise LakeError(
            f"lake {lake.uri} cannot be opened: {type(error).__name__}: {error}"
        ) from error


def _normalised(uri: str) -> str:
    if any(character in uri for character in "*?[]{}"):
        raise ConfigurationError(
            f"lake {uri!r}: * ? [ ] {{ }} are patterns to DuckDB: choose a path without them"
        )
    if escape := re.search("%[0-9A-Fa-f]{2}", uri):
        raise ConfigurationError(
            f"lake {uri!r}: {escape[0]} means an escaped character to Delta Lake; choose another "
            "path"
        )
    if "://" in uri and not uri.startswith("file://"):
        return uri.rstrip("/")
    return str(Path(uri.removeprefix("file://")).expanduser().resolve())


def _is_local(uri: str) -> bool:
    return "://" not in uri


def _filesystem(uri: str, options: dict[str, str]) -> Any:
    if not options or not uri.startswith("s3://"):
        place = locate(uri)
        return place.filesystem or fsspec.filesystem("file")
    return fsspec.filesystem(
        "s3",
        key=options.get("aws_access_key_id"),
        secret=options.get("aws_secret_access_key"),
        token=options.get("aws_session_token"),
        endpoint_url=options.get("aws_endpoint_url"),
        client_kwargs={"region_name": options["aws_region"]} if "aws_region" in options else {},
    )


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
