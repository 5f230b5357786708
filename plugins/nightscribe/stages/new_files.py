"""What is new in the archives: list them and compare the listing with the lake.

Listing never opens a file. A file whose URI, size and version (etag or modification time)
the lake knows is not new; neither is a container (zip, tar) that is unchanged.

An archive may have millions of files. The listing lies in a DuckDB database of its own, which
takes a fixed amount of memory and keeps what does not fit in a temporary folder. Each statement
joins once: see `nightscribe.stages.pending`.
"""

from __future__ import annotations

import logging
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

import duckdb
import pyarrow as pa

from nightscribe.archives.entries import File, Rejection
from nightscribe.archives.listing import list_files
from nightscribe.lake.reading import connect
from nightscribe.lake.tables import Lake

__all__ = ["LISTED", "UNUSABLE", "Found", "find_new"]

log = logging.getLogger(__name__)

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
"""Columns of an ingest spec: files as the listing gave them."""

UNUSABLE = pa.schema(
    [
        ("uri", pa.string()),
        ("version", pa.string()),
        ("reason", pa.string()),
        ("detail", pa.string()),
    ]
)
"""What cannot be used, as in the table `rejected`."""

_MEMORY = "256MB"
"""DuckDB's share of the memory."""
_CHUNK = 10_000
"""Rows that are put into the database, or fetched, at a time."""


@dataclass(frozen=True)
class Found:
    """A listing beside what the lake knows, in a database that lives as long as `find_new` lasts.

    Its tables: `listed`, `fresh` and `manifests` have the columns of `LISTED`; `unusable` has
    those of `UNUSABLE`.
    """

    files: int
    new_files: int  # audio files and containers that are new or changed
    new_bytes: int  # of these
    unusable: int  # files that the listing rejects
    database: duckdb.DuckDBPyConnection = field(repr=False)

    def fresh(self) -> Iterator[pa.RecordBatch]:
        """The audio files and containers that are new or changed, by archive and position."""
        return self.rows("FROM fresh WHERE kind <> 'manifest' ORDER BY archive, position")

    def manifests(self) -> Iterator[pa.RecordBatch]:
        """The manifests that must be read, by URI."""
        return self.rows("FROM manifests ORDER BY uri")

    def rows(self, query: str, at_a_time: int = _CHUNK) -> Iterator[pa.RecordBatch]:
        """What a query finds. The database may be used, and written to, in the meantime."""
        with self.database.cursor() as cursor:
            yield from cursor.sql(query).to_arrow_reader(at_a_time)

    def add(self, table: str, rows: pa.Table) -> None:
        """Put rows into a table of the database, which is made if it is not there."""
        _add(self.database, table, rows)


@contextmanager
def find_new(lake: Lake, archives: Sequence[str], *, force: bool = False) -> Iterator[Found]:
    """List archives and find what is new or changed; nothing is written to the lake.

    What could not be reached before is looked for again, and with `force` also what was
    rejected for what it is (limits may have been raised since).

    Raises `ConfigurationError` for an archive that is not there at all.
    """
    with (
        tempfile.TemporaryDirectory(prefix="nightscribe-scan-") as folder,
        connect(lake, memory_limit=_MEMORY, spill_to=folder) as database,
    ):
        _list(database, archives)
        _find_fresh(database, force)
        _find_manifests(database)
        [(files, unusable)] = database.execute(
            "SELECT (SELECT count(*) FROM listed), (SELECT count(*) FROM unusable)"
        ).fetchall()
        [(new_files, new_bytes)] = database.execute(
            "SELECT count(*), coalesce(sum(size_bytes), 0) FROM fresh WHERE kind <> 'manifest'"
        ).fetchall()
        yield Found(files, new_files, int(new_bytes), unusable, database)


def _list(database: duckdb.DuckDBPyConnection, archives: Sequence[str]) -> None:
    """`listed`: the files of the archives; `unusable`: what the listing rejects."""
    files: list[dict[str, object]] = []
    rejections: list[dict[str, object]] = []

    def flush() -> None:
        _add(database, "listed", pa.Table.from_pylist(files, LISTED))
        _add(database, "unusable", pa.Table.from_pylist(rejections, UNUSABLE))
        files.clear()
        rejections.clear()

    position = 0
    for archive in archives:
        for entry in list_files(archive):
            if isinstance(entry, Rejection):
                log.warning("%s: %s: %s", entry.uri, entry.reason.value, entry.detail)
                rejections.append(_unusable_row(entry))
            else:
                files.append(_listed_row(entry, position))
                position += 1
            if len(files) + len(rejections) == _CHUNK:
                flush()
    flush()


def _listed_row(file: File, position: int) -> dict[str, object]:
    return {
        "collection": file.collection,
        "archive": file.archive,
        "member": file.member,
        "uri": file.uri,
        "kind": file.kind.value,
        "size_bytes": file.size_bytes,
        "version": file.version,
        "position": position,
    }


def _unusable_row(rejection: Rejection) -> dict[str, object]:
    return {
        "uri": rejection.uri,
        "version": rejection.version,
        "reason": rejection.reason.value,
        "detail": rejection.detail,
    }


def _add(database: duckdb.DuckDBPyConnection, table: str, rows: pa.Table) -> None:
    database.register("incoming", rows)
    database.execute(f"CREATE TABLE IF NOT EXISTS {table} AS FROM incoming WITH NO DATA")
    database.execute(f"INSERT INTO {table} FROM incoming")
    database.unregister("incoming")


def _find_fresh(database: duckdb.DuckDBPyConnection, force: bool) -> None:
    """`fresh`: those of `listed` that are new or changed."""
    database.execute(
        """CREATE TABLE fresh AS
           FROM listed ANTI JOIN sources USING (archive, member, size_bytes, version)"""
    )
    database.execute(
        """CREATE OR REPLACE TABLE fresh AS
           FROM fresh ANTI JOIN scans USING (uri, size_bytes, version)"""
    )
    if force:
        database.execute(
            """INSERT INTO fresh FROM listed AS l WHERE kind = 'container'
               AND EXISTS (FROM rejected AS r WHERE starts_with(r.uri, l.uri)
                           AND r.model_id IS NULL)
               AND position NOT IN (SELECT position FROM fresh)"""
        )
    else:
        database.execute(
            """CREATE OR REPLACE TABLE fresh AS
               FROM fresh ANTI JOIN (FROM rejected WHERE model_id IS NULL
                 -- With a recording_id, the file was read to its end and crashed the decoder.
                 AND (recording_id IS NOT NULL OR reason NOT IN
                   ('changed', 'unreadable', 'manifest_missing_file')))
               USING (uri, version)"""
        )


def _find_manifests(database: duckdb.DuckDBPyConnection) -> None:
    """`manifests`: those of `listed` that must be read.

    One that did not change is still needed when there is a file that it may name and that is
    new, or came into the lake after the manifest was last applied.
    """
    database.execute(
        """CREATE TABLE unapplied AS
           SELECT l.position FROM (FROM listed WHERE kind = 'manifest') AS l
           JOIN (SELECT uri, max(created_at) AS applied_at FROM scans
                 WHERE kind = 'manifest' GROUP BY uri) AS c USING (uri)
           JOIN (SELECT archive, max(created_at) AS came_at FROM sources GROUP BY archive) AS s
             USING (archive)
           WHERE came_at > applied_at"""
    )
    database.execute(
        """CREATE TABLE manifests AS FROM listed WHERE kind = 'manifest'
           AND (collection IN (SELECT collection FROM fresh)
                OR position IN (SELECT position FROM unapplied))"""
    )
