"""Writes the content of manifests to the lake: language hints, metadata and references.

A manifest may come before or after the files that it names, in the archive and in time. So its rows
are kept in the table `annotations`, and are joined with `sources` when these are in the lake:
`nightscribe.manifests.resolve`.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any, BinaryIO

import pyarrow as pa

from nightscribe.errors import Reason, Rejected
from nightscribe.lake.forgetting import OF_FORGOTTEN
from nightscribe.lake.keys import KEYS
from nightscribe.lake.reading import connect
from nightscribe.lake.rows import rejected_row, rows_of
from nightscribe.lake.specs import has_spec, read_spec, write_spec
from nightscribe.lake.tables import Lake
from nightscribe.manifests.manifest import parse_manifest
from nightscribe.manifests.resolve import Resolved, resolve, statements
from nightscribe.manifests.spelling import match_spellings
from nightscribe.uris import join_uri

ANNOTATIONS = pa.schema(
    [
        ("manifest", pa.string()),
        ("archive", pa.string()),
        ("member", pa.string()),
        ("language", pa.string()),
        ("variety", pa.string()),
        ("text", pa.string()),
        ("translation", pa.string()),
        ("dataset", pa.string()),
        ("split", pa.string()),
        ("speaker", pa.string()),
        ("session", pa.string()),
        ("metadata", pa.string()),
        ("line", pa.int64()),
        ("depth", pa.int64()),
    ]
)
"""One row per file that a manifest names: the columns of the table `annotations`."""

_VIEWS = ("present_sources", "annotations", "reference_texts")

SLICE_ROWS = 50_000
"""Rows that are written at a time."""

MAX_MANIFEST_BYTES = 64 * 1024 * 1024
"""About half a million rows. A manifest is held in memory while it is read."""


@dataclass(frozen=True)
class Annotations:
    """Rows of a manifest, and rows for `rejected` about its lines that cannot be used."""

    rows: pa.Table
    problems: list[dict[str, Any]]


def annotations_from(
    archive: str, collection: str, manifest: str, file: BinaryIO, version: str
) -> Annotations:
    """Parse a manifest; `manifest` is its member path in `archive`."""
    uri = join_uri(archive, manifest)
    try:
        data = file.read(MAX_MANIFEST_BYTES + 1)
        if len(data) > MAX_MANIFEST_BYTES:
            detail = f"larger than {MAX_MANIFEST_BYTES} bytes: split it over several folders"
            raise Rejected(Reason.MANIFEST_UNREADABLE, detail)
        parsed, problems = parse_manifest(manifest, data)
    except Rejected as rejected:
        row = rejected_row(uri, rejected.reason, rejected.detail, version=version)
        return Annotations(ANNOTATIONS.empty_table(), [row])
    dataset = dataset_name(collection)
    rows = [
        {
            "manifest": uri,
            "archive": archive,
            "member": row.path,
            "language": row.language,
            "variety": row.variety,
            "text": row.text,
            "translation": row.translation,
            "dataset": row.dataset or dataset,
            "split": row.split,
            "speaker": row.speaker,
            "session": row.session,
            "metadata": json.dumps(row.metadata, ensure_ascii=False) if row.metadata else None,
            "line": row.line,
            "depth": manifest.count("/"),
        }
        for row in parsed
    ]
    bad_lines = [
        rejected_row(f"{uri}#{line}", Reason.MANIFEST_BAD_ROW, detail, version=version)
        for line, detail in problems
    ]
    return Annotations(pa.Table.from_pylist(rows, schema=ANNOTATIONS), bad_lines)


def dataset_name(collection: str) -> str:
    """Name of the data set of references that name none: the name of the archive."""
    name = collection.rstrip("/").rpartition("/")[2]
    return name.partition(".")[0] or name


def annotate(lake: Lake, annotations: pa.Table, run_id: str) -> int:
    """Write what manifests say about files, and what follows: hints, metadata and references.

    Files that are not in `sources` (rejected, or not ingested yet) have no hints and references.
    A name that is written with other code points than the file's, but is canonically equal (NFC and
    NFD), is that of the file. Texts that contradict each other are no reference: each place has a
    row in `rejected`. A row without a text takes back what its manifest said about the file before.

    Args:
        annotations: rows with the columns of `ANNOTATIONS`

    Returns the number of sources that the rows name.
    """
    if annotations.num_rows == 0:
        return 0
    with connect(lake, views=[*_VIEWS, "forgotten"]) as connection:
        connection.register("given", annotations)
        connection.execute("CREATE TEMP TABLE named AS FROM given")
        connection.execute(f"DELETE FROM named WHERE {OF_FORGOTTEN}")
        match_spellings(connection, "named", "sources")
        rows = connection.sql("FROM named ORDER BY manifest, archive, member").to_arrow_table()
        places = connection.sql("SELECT DISTINCT archive, member FROM named").to_arrow_table()
        before = statements(connection, places)
    for part in _slices(rows_of("annotations", rows.to_pylist(), run_id)):
        lake.upsert("annotations", part, KEYS["annotations"])
    with connect(lake, views=_VIEWS) as connection:
        resolved = resolve(connection, places, before)
    _write(lake, resolved, run_id)
    count: int = resolved.sources.num_rows
    return count


def _write(lake: Lake, resolved: Resolved, run_id: str) -> None:
    problems = [
        rejected_row(join_uri(found.archive, found.member), Reason.MANIFEST_BAD_ROW, found.detail)
        for found in resolved.contradictions
    ]
    lake.insert_new("rejected", rows_of("rejected", problems, run_id), KEYS["rejected"])
    for name, rows in (
        ("sources", resolved.sources),
        ("reference_texts", resolved.references),
    ):
        for part in _slices(rows_of(name, rows.to_pylist(), run_id)):
            lake.upsert(name, part, KEYS[name])
    lake.delete("reference_texts", resolved.obsolete, KEYS["reference_texts"])


def _slices(rows: pa.Table) -> list[pa.Table]:
    return [rows.slice(start, SLICE_ROWS) for start in range(0, rows.num_rows, SLICE_ROWS)]


def _without_forgotten(lake: Lake, rows: pa.Table) -> pa.Table:
    with connect(lake, views=["sources", "forgotten"]) as connection:
        connection.register("given", rows)
        return connection.sql(f"FROM given WHERE NOT ({OF_FORGOTTEN})").to_arrow_table()


def finish_manifests(lake: Lake, folder: str, run_id: str) -> int:
    """Apply the annotations that a scan kept below `folder`, then note its manifests as read."""
    if not has_spec(lake, f"{folder}/annotations.parquet"):
        return 0  # the scan failed; recordings that are in the lake can still be planned
    manifests = read_spec(lake, f"{folder}/manifests.parquet").to_pylist()
    path = f"{folder}/annotations.parquet"
    given = read_spec(lake, path)
    count = annotate(lake, given, run_id)
    # Only now is it known what is at the places that the manifests name.
    kept = _without_forgotten(lake, given)
    if kept.num_rows < given.num_rows:
        write_spec(lake, path, kept)
    rows = [
        {
            "uri": row["uri"],
            "size_bytes": row["size_bytes"],
            "version": row["version"],
            "kind": "manifest",
            "entries": count,
        }
        for row in manifests
    ]
    # Sources with a later time than this row are not annotated yet, see `new_files.find_new`.
    lake.upsert("scans", rows_of("scans", rows, run_id), KEYS["scans"], restamp=True)
    return count
