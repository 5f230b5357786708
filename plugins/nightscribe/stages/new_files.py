"""New files: list the archives and compare the listing with the lake.

Listing opens no file. A file is new unless the lake has its URI, size and version (etag or
modification time). The same is true of a container (zip, tar).

An archive may have millions of files. The listing is in a DuckDB database with a fixed memory
limit, which spills to a temporary folder. Each statement joins once, for the reason given in
`nightscribe.stages.pending`.
"""

from __future__ import annotations

import tempfile
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

import duckdb
import pyarrow as pa

from nightscribe.archives.entries import File, PassedOver, Rejection
from nightscribe.archives.listing import list_files
from nightscribe.interruption import interruptible
from nightscribe.lake.forgetting import IS_FORGOTTEN_FILE
from nightscribe.lake.reading import connect
from nightscribe.lake.tables import Lake
from nightscribe.stages.account import Account
from nightscribe.uris import canonical_uri

__all__ = ["LISTED", "UNUSABLE", "Found", "count_manifests", "find_new"]

LISTED = pa.schema(
    [
        ("collection", pa.string()),
        ("archive", pa.string()),
        ("member", pa.string()),
        ("uri", pa.string()),
        ("kind", pa.string()),
        ("size_bytes", pa.int64()),
        ("version", pa.string()),
        ("position", pa.int64()),
    ]
)
"""Columns of an ingest spec: listed files."""

UNUSABLE = pa.schema(
    [
        ("uri", pa.string()),
        ("version", pa.string()),
        ("reason", pa.string()),
        ("detail", pa.string()),
    ]
)
"""Columns of files that cannot be used, as in the table `rejected`."""

_VIEWS = ("sources", "scans", "rejected", "disappeared", "forgotten")
"""Views that a scan reads."""
_MEMORY = "256MB"
"""DuckDB's memory limit."""
_CHUNK = 10_000
"""Rows that are inserted or fetched at a time."""


@dataclass(frozen=True)
class Found:
    """The result of `find_new`: counts, and a database that is open until its context ends.

    The database has the lake's views and four tables: `listed`, `fresh` and `manifests` with the
    columns of `LISTED`, `unusable` with those of `UNUSABLE`. `count_manifests` completes the
    accounts when the manifests have been read.
    """

    files: int
    new_files: int  # audio files and containers that are new or changed
    new_bytes: int  # of these
    unusable: int  # files that the listing rejects
    accounts: dict[str, Account]  # by collection; manifests are not counted yet
    database: duckdb.DuckDBPyConnection = field(repr=False)

    def fresh(self) -> Iterator[pa.RecordBatch]:
        """New or changed audio files and containers, ordered by archive and position."""
        return self.rows("FROM fresh WHERE kind <> 'manifest' ORDER BY archive, position")

    def manifests(self) -> Iterator[pa.RecordBatch]:
        """The manifests that must be read, ordered by URI."""
        return self.rows("FROM manifests ORDER BY uri")

    def rows(self, query: str, batch_rows: int = _CHUNK) -> Iterator[pa.RecordBatch]:
        """The rows of a query. The database may be queried and changed while they are read."""
        with interruptible(self.database.cursor()) as cursor:
            yield from cursor.sql(query).to_arrow_reader(batch_rows)

    def add(self, table: str, rows: pa.Table) -> None:
        """Insert rows into a table of the database; creates the table if necessary."""
        _add(self.database, table, rows)


@contextmanager
def find_new(lake: Lake, archives: Sequence[str], *, force: bool = False) -> Iterator[Found]:
    """List archives and find new or changed files; writes nothing to the lake.

    An unchanged file that was rejected is tried again if it could not be read and has not crashed
    the decoder. With `force`, every rejected file is tried again: limits may be higher now.

    Raises `ConfigurationError` for an archive that does not exist.
    """
    with (
        tempfile.TemporaryDirectory(prefix="nightscribe-scan-") as folder,
        connect(lake, views=_VIEWS, memory_limit=_MEMORY, spill_to=folder) as database,
    ):
        accounts = _list(database, archives)
        _find_fresh(database, force, accounts)
        _find_manifests(database)
        [(files, unusable)] = database.execute(
            "SELECT (SELECT count(*) FROM listed), (SELECT count(*) FROM unusable)"
        ).fetchall()
        [(new_files, new_bytes)] = database.execute(
            "SELECT count(*), coalesce(sum(size_bytes), 0) FROM fresh WHERE kind <> 'manifest'"
        ).fetchall()
        yield Found(files, new_files, int(new_bytes), unusable, accounts, database)


def _list(database: duckdb.DuckDBPyConnection, archives: Sequence[str]) -> dict[str, Account]:
    """Create `listed` (the files of the archives) and `unusable` (what the listing rejects).

    Returns the accounts of the collections, with the files that are rejected or passed over.
    """
    accounts = {uri: Account(uri) for uri in map(canonical_uri, archives)}
    files: list[File] = []
    rejections: list[Rejection] = []
    listed = 0

    def flush() -> None:
        nonlocal listed
        _add(database, "listed", _listed_rows(files, listed))
        _add(database, "unusable", _unusable_rows(rejections))
        listed += len(files)
        files.clear()
        rejections.clear()

    for uri, account in accounts.items():
        for entry in list_files(uri):
            if isinstance(entry, Rejection):
                account.rejected += 1
                rejections.append(entry)
            elif isinstance(entry, PassedOver):
                account.pass_over(entry)
            else:
                files.append(entry)
            if len(files) + len(rejections) >= _CHUNK:
                flush()
    flush()
    return accounts


def _listed_rows(files: Sequence[File], first: int) -> pa.Table:
    """A table with the columns of `LISTED`; positions start at `first`."""
    columns = {
        "collection": [file.collection for file in files],
        "archive": [file.archive for file in files],
        "member": [file.member for file in files],
        "uri": [file.uri for file in files],
        "kind": [file.kind.value for file in files],
        "size_bytes": [file.size_bytes for file in files],
        "version": [file.version for file in files],
        "position": range(first, first + len(files)),
    }
    return pa.table(columns, LISTED)


def _unusable_rows(rejections: Sequence[Rejection]) -> pa.Table:
    """A table with the columns of `UNUSABLE`."""
    columns = {
        "uri": [rejection.uri for rejection in rejections],
        "version": [rejection.version for rejection in rejections],
        "reason": [rejection.reason.value for rejection in rejections],
        "detail": [rejection.detail for rejection in rejections],
    }
    return pa.table(columns, UNUSABLE)


def _add(database: duckdb.DuckDBPyConnection, table: str, rows: pa.Table) -> None:
    database.register("incoming", rows)
    database.execute(f"CREATE TABLE IF NOT EXISTS {table} AS FROM incoming WITH NO DATA")
    database.execute(f"INSERT INTO {table} FROM incoming")
    database.unregister("incoming")


def _find_fresh(
    database: duckdb.DuckDBPyConnection, force: bool, accounts: dict[str, Account]
) -> None:
    """Create `fresh`: the rows of `listed` that are new or changed. Count the others."""
    database.execute(
        """CREATE TABLE fresh AS
           FROM listed ANTI JOIN sources USING (archive, member, size_bytes, version)"""
    )
    database.execute(
        """DELETE FROM fresh WHERE position IN (
             SELECT position FROM fresh SEMI JOIN scans USING (uri, size_bytes, version))"""
    )
    database.execute(f"DELETE FROM fresh WHERE {IS_FORGOTTEN_FILE}")
    unread = _by_collection(database, "fresh")
    if force:
        database.execute(
            """INSERT INTO fresh FROM listed AS l WHERE kind = 'container'
               AND EXISTS (FROM rejected AS r WHERE r.model_id IS NULL
                           AND (r.uri = l.uri OR starts_with(r.uri, l.uri || '!/')))
               AND position NOT IN (SELECT position FROM fresh)"""
        )
    else:
        database.execute(
            """DELETE FROM fresh WHERE position IN (
                 SELECT position FROM fresh SEMI JOIN (
                   FROM rejected WHERE model_id IS NULL
                   -- With a recording_id, the file was read to its end and crashed the decoder.
                   AND (recording_id IS NOT NULL OR reason NOT IN
                     ('changed', 'unreadable', 'manifest_missing_file')))
                 USING (uri, version))"""
        )
    listed, fresh = _by_collection(database, "listed"), _by_collection(database, "fresh")
    for uri, account in accounts.items():
        account.new = fresh[uri]
        # With `force`, `fresh` has more files than were unread: containers that are read again.
        rejected_before = max(0, unread[uri] - fresh[uri])
        account.rejected += rejected_before
        account.known = listed[uri] - fresh[uri] - rejected_before


def _by_collection(database: duckdb.DuckDBPyConnection, table: str) -> Counter[str]:
    """Number of audio files and containers in a table, by collection."""
    rows = database.execute(
        f"SELECT collection, count(*) FROM {table} WHERE kind <> 'manifest' GROUP BY collection"
    ).fetchall()
    return Counter(dict(rows))


def count_manifests(found: Found) -> None:
    """Add the manifests to the accounts, after they were read.

    A manifest is rejected if it cannot be read as a whole, now or earlier; used if it was read now;
    else known.
    """
    rows = found.database.execute(
        """SELECT collection,
             CASE WHEN uri IN (SELECT uri FROM unusable) THEN 'rejected'
                  WHEN position IN (SELECT position FROM manifests) THEN 'used'
                  WHEN (uri, version) IN (SELECT (uri, version) FROM rejected
                                          WHERE reason = 'manifest_unreadable') THEN 'rejected'
                  ELSE 'known' END AS outcome,
             count(*)
           FROM listed WHERE kind = 'manifest' GROUP BY ALL"""
    ).fetchall()
    for collection, outcome, count in rows:
        account = found.accounts[collection]
        setattr(account, outcome, getattr(account, outcome) + count)


def _find_manifests(database: duckdb.DuckDBPyConnection) -> None:
    """Create `manifests`: the rows of `listed` that must be read.

    A manifest must be read if its collection has new files (the manifest may be one of them), or
    if its archive has sources that are newer than the last time the manifest was applied.
    """
    database.execute(
        """CREATE TABLE unapplied AS
           SELECT l.position FROM (FROM listed WHERE kind = 'manifest') AS l
           JOIN (SELECT uri, max(created_at) AS applied_at FROM scans
                 WHERE kind = 'manifest' GROUP BY uri) AS c USING (uri)
           JOIN (SELECT archive, max(created_at) AS added_at FROM sources GROUP BY archive) AS s
             USING (archive)
           WHERE added_at > applied_at"""
    )
    database.execute(
        """CREATE TABLE manifests AS FROM listed WHERE kind = 'manifest'
           AND (collection IN (SELECT collection FROM fresh)
                OR position IN (SELECT position FROM unapplied))"""
    )
