"""What is new in the archives: list them, compare with the lake, hand out the work.

Listing never opens a file. A file whose URI, size and version (etag or modification time)
the lake knows is not read again; a container (zip, tar) that is unchanged is not opened.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import pyarrow as pa
import pyarrow.compute as pc

from nightscribe.archives.entries import File, Rejection
from nightscribe.archives.kinds import Kind
from nightscribe.archives.listing import list_files
from nightscribe.archives.opening import open_sources
from nightscribe.errors import Reason
from nightscribe.lake.keys import KEYS
from nightscribe.lake.reading import connect
from nightscribe.lake.rows import rejected_row, rows_of
from nightscribe.lake.specs import write_spec
from nightscribe.lake.tables import Lake
from nightscribe.manifests.annotate import ANNOTATIONS, annotations_from
from nightscribe.settings import Settings
from nightscribe.uris import join_uri

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

_CHUNK = 10_000


@dataclass(frozen=True)
class Scanned:
    """What a scan found, and the work it hands out."""

    files: int
    new_files: int
    new_bytes: int
    rejected: int  # not known before
    specs: list[str]  # ingest specs, paths in the lake

    def summary(self) -> str:
        """One line for people."""
        return (
            f"scan: {self.files} files, {self.new_files} new or changed "
            f"({self.new_bytes / 1e6:.1f} MB), {self.rejected} rejected, "
            f"{len(self.specs)} ingest tasks"
        )


@dataclass(frozen=True)
class Found:
    """A listing of archives beside what the lake knows; nothing is written."""

    listed: pa.Table
    fresh: pa.Table  # those of `listed` that are new or changed
    manifests: pa.Table  # those that must be read
    rejected: list[dict[str, object]]


def find_new(lake: Lake, archives: Sequence[str], *, force: bool = False) -> Found:
    """List archives and tell what is new or changed.

    What could not be reached before is looked for again, and with `force` also what was
    rejected for what it is (limits may have been raised since).

    Raises `ConfigurationError` for an archive that is not there at all.
    """
    rejected: list[dict[str, object]] = []
    listed = pa.Table.from_batches(_listing(archives, rejected), schema=LISTED)
    with connect(lake) as connection:
        connection.register("listed", listed)
        fresh = connection.sql(
            """SELECT * FROM listed AS l
               WHERE ($force AND kind = 'container' AND EXISTS (SELECT 1 FROM rejected AS r
                   WHERE starts_with(r.uri, l.uri) AND r.model_id IS NULL))
                 OR NOT EXISTS (SELECT 1 FROM sources AS s
                   WHERE (s.archive, s.member, s.size_bytes, s.version)
                       = (l.archive, l.member, l.size_bytes, l.version))
                 AND NOT EXISTS (SELECT 1 FROM scans AS c
                   WHERE (c.uri, c.size_bytes, c.version) = (l.uri, l.size_bytes, l.version))
                 AND NOT EXISTS (SELECT 1 FROM rejected AS r
                   WHERE (r.uri, r.version) = (l.uri, l.version)
                     AND r.model_id IS NULL AND NOT $force
                     -- With a recording_id, the file was read to its end and crashed the decoder.
                     AND (r.recording_id IS NOT NULL OR r.reason NOT IN
                       ('changed', 'unreadable', 'manifest_missing_file')))
               ORDER BY archive, position""",
            params={"force": force},
        ).to_arrow_table()
        connection.register("fresh", fresh)
        # A manifest that did not change is still needed when there is a file that it may name
        # and that is new, or came into the lake after the manifest was last applied.
        manifests = connection.sql(
            """SELECT * FROM listed AS l WHERE kind = 'manifest' AND (
                 EXISTS (SELECT 1 FROM fresh AS f WHERE f.collection = l.collection)
                 OR EXISTS (SELECT 1 FROM sources AS s WHERE s.archive = l.archive
                   AND s.created_at > (SELECT max(created_at) FROM scans AS c
                                       WHERE c.uri = l.uri AND c.kind = 'manifest')))
               ORDER BY uri"""
        ).to_arrow_table()
    return Found(listed, fresh, manifests, rejected)


def scan(
    lake: Lake,
    archives: Sequence[str],
    run_id: str,
    *,
    settings: Settings | None = None,
    folder: str,
    max_specs: int = 1000,
    force: bool = False,
) -> Scanned:
    """List the archives and describe what is new as ingest specs below `folder` in the lake.

    At most `max_specs` of them: they grow if need be. For `force` see `find_new`.

    Raises `ConfigurationError` for an archive that is not there at all.
    """
    settings = settings or Settings()
    found = find_new(lake, archives, force=force)
    annotated = _read_manifests(found.manifests, found.listed, found.rejected, settings)
    rejected = rows_of("rejected", found.rejected, run_id)
    rejected = lake.insert_new("rejected", rejected, KEYS["rejected"])
    work = found.fresh.filter(pc.not_equal(found.fresh["kind"], Kind.MANIFEST.value))
    specs = [
        write_spec(lake, f"{folder}/ingest-{number:05d}.parquet", part)
        for number, part in enumerate(_parts(work, settings, max_specs))
    ]
    write_spec(lake, f"{folder}/annotations.parquet", annotated)
    write_spec(lake, f"{folder}/manifests.parquet", found.manifests)
    return Scanned(
        files=found.listed.num_rows,
        new_files=work.num_rows,
        new_bytes=pc.sum(work["size_bytes"]).as_py() or 0,
        rejected=rejected.num_rows,
        specs=specs,
    )


def _listing(
    archives: Sequence[str], rejected: list[dict[str, object]]
) -> Iterator[pa.RecordBatch]:
    rows: list[dict[str, object]] = []
    position = 0
    for archive in archives:
        for found in list_files(archive):
            if isinstance(found, Rejection):
                log.warning("%s: %s: %s", found.uri, found.reason.value, found.detail)
                rejected.append(
                    rejected_row(found.uri, found.reason, found.detail, version=found.version)
                )
                continue
            rows.append(_row(found, position))
            position += 1
            if len(rows) == _CHUNK:
                yield pa.RecordBatch.from_pylist(rows, schema=LISTED)
                rows = []
    yield pa.RecordBatch.from_pylist(rows, schema=LISTED)


def _row(file: File, position: int) -> dict[str, object]:
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


def _read_manifests(
    manifests: pa.Table, listed: pa.Table, rejected: list[dict[str, object]], settings: Settings
) -> pa.Table:
    if manifests.num_rows == 0:
        return ANNOTATIONS.empty_table()
    rows = {(row["archive"], row["member"]): row for row in manifests.to_pylist()}
    known = set(zip(listed["archive"].to_pylist(), listed["member"].to_pylist(), strict=True))
    tables = []
    for (archive, member), file in open_sources(list(rows), settings.limits):
        row = rows[archive, member]
        if isinstance(file, Rejection):
            rejected.append(
                rejected_row(row["uri"], file.reason, file.detail, version=row["version"])
            )
            continue
        found = annotations_from(archive, row["collection"], member, file, row["version"])
        rejected.extend(found.problems)
        for index, name in enumerate(found.rows["member"].to_pylist()):
            if (archive, name) not in known:
                line = found.rows["line"][index].as_py()
                rejected.append(
                    rejected_row(
                        join_uri(archive, name),
                        Reason.MANIFEST_MISSING_FILE,
                        f"named in line {line} of {member}, but not in the archive",
                        version=row["version"],
                    )
                )
        tables.append(found.rows)
    return pa.concat_tables([ANNOTATIONS.empty_table(), *tables])


def _parts(work: pa.Table, settings: Settings, max_specs: int) -> Iterator[pa.Table]:
    """Cut the work into specs of so many files and bytes, in listing order."""
    start, size, made = 0, 0, 1
    sizes = work["size_bytes"].to_pylist()
    # A part ends because it has its files, or because it has its bytes: half of the parts each.
    most_files = max(settings.ingest_files, 2 * len(sizes) // max_specs + 1)
    most_bytes = max(settings.ingest_bytes, 4 * sum(sizes) // max_specs + 1)
    for index, file_bytes in enumerate(sizes):
        full = index - start >= most_files or size + file_bytes > most_bytes
        if full and index > start and made < max_specs:
            yield work.slice(start, index - start)
            start, size = index, 0
            made += 1
        size += file_bytes
    if start < len(sizes):
        yield work.slice(start)
