"""Writes the content of manifests to the lake: language hints, metadata and references.

A manifest may come before or after the files that it names, in the archive and in time. So its rows
are kept as annotations, and are joined with `sources` when these are in the lake.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any, BinaryIO

import pyarrow as pa

from nightscribe.errors import Reason, Rejected
from nightscribe.lake.keys import KEYS
from nightscribe.lake.reading import connect
from nightscribe.lake.rows import rejected_row, rows_of
from nightscribe.lake.specs import has_spec, read_spec
from nightscribe.lake.tables import Lake
from nightscribe.manifests.manifest import parse_manifest
from nightscribe.uris import join_uri

ANNOTATIONS = pa.schema(
    [
        ("archive", pa.string()),
        ("member", pa.string()),
        ("language", pa.string()),
        ("text", pa.string()),
        ("translation", pa.string()),
        ("dataset", pa.string()),
        ("split", pa.string()),
        ("metadata", pa.string()),
        ("line", pa.int64()),
        ("depth", pa.int64()),
    ]
)
"""One row per file that a manifest names. `depth` is the number of folders above the manifest. If
several manifests name a file, the deepest one counts."""

SLICE_ROWS = 50_000
"""Annotations that are joined and written at a time."""

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
            "archive": archive,
            "member": row.path,
            "language": row.language,
            "text": row.text,
            "translation": row.translation,
            "dataset": row.dataset or dataset,
            "split": row.split,
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
    """Write hints and metadata to `sources`, and texts to `reference_texts`.

    Returns the number of sources. Files that are not in `sources` (rejected, or not ingested yet)
    are skipped.
    """
    if annotations.num_rows == 0:
        return 0
    with connect(lake) as connection:
        connection.register("annotations", annotations)
        by_member = connection.sql(
            """FROM annotations
               QUALIFY row_number() OVER (PARTITION BY archive, member
                                          ORDER BY depth DESC, line DESC) = 1
               ORDER BY archive, member"""
        ).to_arrow_table()
    starts = range(0, by_member.num_rows, SLICE_ROWS)
    return sum(_annotate(lake, by_member.slice(start, SLICE_ROWS), run_id) for start in starts)


def _annotate(lake: Lake, annotations: pa.Table, run_id: str) -> int:
    """The same for one slice, with one row per file."""
    with connect(lake) as connection:
        connection.register("annotations", annotations)
        connection.execute(
            """CREATE TEMP VIEW joined AS
               SELECT s.* EXCLUDE (run_id, created_at, language_hint, metadata),
                      a.language AS language_hint, a.metadata, a.text, a.translation, a.dataset,
                      a.split
               FROM sources AS s JOIN annotations AS a USING (archive, member)
               ORDER BY archive, member"""
        )
        sources = connection.sql(
            "SELECT * EXCLUDE (text, translation, dataset, split) FROM joined"
        ).to_arrow_table()
        connection.execute(
            """CREATE TEMP TABLE given AS
               SELECT recording_id, 'transcribe' AS task, dataset,
                      coalesce(language_hint, 'und') AS language, text, split, archive, member
               FROM joined WHERE text IS NOT NULL
               UNION ALL
               SELECT recording_id, 'translate', dataset, coalesce(language_hint, 'und'),
                      translation, split, archive, member
               FROM joined WHERE translation IS NOT NULL"""
        )
        connection.execute(
            """CREATE TEMP TABLE contradicted AS
               SELECT recording_id, task, dataset, arg_min((archive, member), text) AS one,
                      arg_max((archive, member), text) AS other
               FROM given GROUP BY ALL HAVING count(DISTINCT text) > 1"""
        )
        references = connection.sql(
            """SELECT * EXCLUDE (archive, member)
               FROM given ANTI JOIN contradicted USING (recording_id, task, dataset)"""
        ).to_arrow_table()
        contradicted = connection.execute(
            """SELECT archive, member, task, dataset, one[1], one[2], other[1], other[2]
               FROM given JOIN contradicted USING (recording_id, task, dataset)
               ORDER BY archive, member, task"""
        ).fetchall()
    problems = [
        rejected_row(
            join_uri(archive, member),
            Reason.MANIFEST_BAD_ROW,
            f"{join_uri(*one)} and {join_uri(*other)} are the same audio, but have different texts "
            f"({task}, data set {dataset}): none of them is used",
        )
        for archive, member, task, dataset, *places in contradicted
        for one, other in [(places[:2], places[2:])]
    ]
    lake.insert_new("rejected", rows_of("rejected", problems, run_id), KEYS["rejected"])
    lake.upsert("sources", rows_of("sources", sources.to_pylist(), run_id), KEYS["sources"])
    lake.upsert(
        "reference_texts",
        rows_of("reference_texts", references.to_pylist(), run_id),
        KEYS["reference_texts"],
    )
    return len(sources)


def finish_manifests(lake: Lake, folder: str, run_id: str) -> int:
    """Apply the annotations that a scan kept below `folder`, then note its manifests as read."""
    if not has_spec(lake, f"{folder}/annotations.parquet"):
        return 0  # the scan failed; recordings that are in the lake can still be planned
    count = annotate(lake, read_spec(lake, f"{folder}/annotations.parquet"), run_id)
    manifests = read_spec(lake, f"{folder}/manifests.parquet").to_pylist()
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
