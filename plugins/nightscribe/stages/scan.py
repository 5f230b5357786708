"""Scan: find new files in the archives, read the manifests, write ingest specs."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, BinaryIO

import pyarrow as pa

from nightscribe.archives.entries import Rejection, unreadable
from nightscribe.archives.opening import open_sources
from nightscribe.errors import Reason, Rejected
from nightscribe.lake.damage import explains
from nightscribe.lake.keys import KEYS
from nightscribe.lake.rows import rejected_row, rows_of
from nightscribe.lake.specs import write_spec
from nightscribe.lake.tables import Lake
from nightscribe.manifests.annotate import ANNOTATIONS, Annotations, annotations_from
from nightscribe.manifests.spelling import MOST_NAMES, match_spellings, missing_detail
from nightscribe.settings import Settings
from nightscribe.stages.account import SCAN, Account, write_accounts
from nightscribe.stages.cutting import cut_rows
from nightscribe.stages.disappeared import Changes, note_changes
from nightscribe.stages.new_files import LISTED, UNUSABLE, Found, count_manifests, find_new
from nightscribe.uris import join_uri

__all__ = ["Scanned", "read_manifests", "scan"]

_NAMED = pa.schema([*ANNOTATIONS, ("version", pa.string())])
"""Columns of a file that a manifest names; `version` is the manifest's."""

_REJECTED_ROWS = 50_000
"""Rows of `rejected` per commit."""


@dataclass(frozen=True)
class Scanned:
    """The counts of a scan, and the ingest specs that it has written."""

    files: int
    new_files: int
    new_bytes: int
    rejected: int  # inputs and lines of manifests, that the lake did not have
    specs: list[str]  # ingest specs, paths in the lake
    accounts: tuple[Account, ...]  # one per collection
    changes: Changes

    def summary(self) -> str:
        """Lines for people: the scan, and the account of each collection."""
        lines = [
            f"scan: {self.new_files:,} files new or changed ({self.new_bytes / 1e6:.1f} MB), "
            f"{self.rejected:,} newly rejected, {len(self.specs):,} ingest tasks"
        ]
        for account in self.accounts:
            lines.append(f"  {account.line()}")
            if remark := account.remark():
                lines.append(f"  {remark}")
        if self.changes.gone or self.changes.back:
            lines.append(
                f"  sources: {self.changes.gone:,} have disappeared, {self.changes.back:,} are back"
            )
        return "\n".join(lines)


@explains
def scan(
    lake: Lake,
    archives: Sequence[str],
    run_id: str,
    *,
    settings: Settings,
    folder: str,
    max_specs: int = 1000,
    force: bool = False,
) -> Scanned:
    """List the archives and write ingest specs for new files below `folder` in the lake.

    Specs are larger than the settings say if there would be more than `max_specs`. For `force`, see
    `find_new`.

    Raises `ConfigurationError` for an archive that does not exist.
    """
    with find_new(lake, archives, force=force) as found:
        read_manifests(found, settings)
        count_manifests(found)
        accounts = tuple(found.accounts.values())
        rejected = _keep_rejected(lake, found, run_id)
        changes = note_changes(lake, found, run_id)
        write_accounts(lake, run_id, SCAN, accounts)
        parts = _parts(found.fresh(), found.new_files, found.new_bytes, settings, max_specs)
        specs = [
            write_spec(lake, f"{folder}/ingest-{number:05d}.parquet", part)
            for number, part in enumerate(parts)
        ]
        annotations = found.rows("SELECT * EXCLUDE (version) FROM named ORDER BY rowid")
        write_spec(
            lake,
            f"{folder}/annotations.parquet",
            pa.RecordBatchReader.from_batches(ANNOTATIONS, annotations),
        )
        write_spec(
            lake,
            f"{folder}/manifests.parquet",
            pa.RecordBatchReader.from_batches(LISTED, found.manifests()),
        )
    return Scanned(
        files=found.files,
        new_files=found.new_files,
        new_bytes=found.new_bytes,
        rejected=rejected,
        specs=specs,
        accounts=accounts,
        changes=changes,
    )


def read_manifests(found: Found, settings: Settings) -> None:
    """Create `named`: the manifests' values for each file, with the columns of `_NAMED`.

    Problems of a manifest, or of a file that it names, are added to `unusable`.
    """
    found.add("named", _NAMED.empty_table())
    unread: list[str] = []
    for manifests in found.manifests():
        rows = {(row["archive"], row["member"]): row for row in manifests.to_pylist()}
        for (archive, member), file in open_sources(list(rows), settings.limits):
            row = rows[archive, member]
            parsed = _annotations(row, file)
            if isinstance(parsed, Rejected):
                rejected = rejected_row(
                    row["uri"], parsed.reason, parsed.detail, version=row["version"]
                )
                found.add("unusable", pa.Table.from_pylist([rejected], UNUSABLE))
                if parsed.reason in (Reason.UNREADABLE, Reason.CHANGED):
                    unread.append(row["uri"])
                continue
            found.add("unusable", pa.Table.from_pylist(parsed.problems, UNUSABLE))
            versions = pa.repeat(row["version"], parsed.rows.num_rows)
            found.add("named", parsed.rows.append_column("version", versions))
    match_spellings(found.database, "named", "listed")
    # These are not noted as read, so that the next scan reads them again.
    found.database.execute("DELETE FROM manifests WHERE list_contains(?::VARCHAR[], uri)", [unread])
    _reject_missing(found)


def _annotations(row: dict[str, Any], file: BinaryIO | Rejection) -> Annotations | Rejected:
    """What a listed manifest says, or why it cannot be read."""
    if isinstance(file, Rejection):
        return Rejected(file.reason, file.detail)
    try:
        if file.seek(0, os.SEEK_END) != row["size_bytes"]:
            return Rejected(Reason.CHANGED, "its size has changed since it was listed")
        file.seek(0)
        return annotations_from(
            row["archive"], row["collection"], row["member"], file, row["version"]
        )
    except OSError as error:
        return unreadable("this manifest", error)


def _reject_missing(found: Found) -> None:
    """Add files that a manifest names, but that its archive does not have, to `unusable`."""
    found.database.execute(
        """CREATE TABLE missing AS SELECT archive, member, line, manifest, version
           FROM named ANTI JOIN listed USING (archive, member)"""
    )
    for missing in found.rows("FROM missing ORDER BY archive, manifest, line"):
        rows = [
            rejected_row(
                join_uri(row["archive"], row["member"]),
                Reason.MANIFEST_MISSING_FILE,
                missing_detail(row, _beside(found, row)),
                version=row["version"],
            )
            for row in missing.to_pylist()
        ]
        found.add("unusable", pa.Table.from_pylist(rows, UNUSABLE))


def _beside(found: Found, row: dict[str, str]) -> list[str]:
    """Files of the folder in which a manifest names one that is not there."""
    folder = row["member"].rpartition("/")[0]
    members = found.database.execute(
        """SELECT member FROM listed WHERE archive = ? AND starts_with(member, ?)
           ORDER BY member LIMIT ?""",
        [row["archive"], folder + "/" if folder else "", MOST_NAMES],
    ).fetchall()
    return [member for (member,) in members]


def _keep_rejected(lake: Lake, found: Found, run_id: str) -> int:
    """Add the rows of `unusable` to the lake; returns how many of them are new."""
    found.database.execute(
        """CREATE TABLE unknown AS SELECT u.rowid AS number, u.* FROM unusable AS u
           ANTI JOIN (FROM rejected WHERE recording_id IS NULL AND model_id IS NULL
                        AND task IS NULL AND options_key IS NULL) USING (uri, version, reason)"""
    )
    query = "SELECT * EXCLUDE (number) FROM unknown ORDER BY number"
    count = 0
    for unknown in found.rows(query, _REJECTED_ROWS):
        rows = rows_of("rejected", unknown.to_pylist(), run_id)
        count += lake.insert_new("rejected", rows, KEYS["rejected"]).num_rows
    return count


def _parts(
    work: Iterable[pa.RecordBatch], files: int, size: int, settings: Settings, max_specs: int
) -> Iterator[pa.Table]:
    """Cut the files of `work`, in order, into at most `max_specs` specs.

    `files` and `size` are the number of files and the sum of their bytes.
    """
    # A part ends at a number of files or at a number of bytes. At most half of `max_specs` parts
    # end for each of the two reasons.
    most_files = max(settings.ingest_files, 2 * files // max_specs + 1)
    most_bytes = max(settings.ingest_bytes, 4 * size // max_specs + 1)
    part_files, part_bytes, parts = 0, 0, 1

    def begins(file_bytes: int) -> bool:
        nonlocal part_files, part_bytes, parts
        full = part_files >= most_files or part_bytes + file_bytes > most_bytes
        ends = full and part_files > 0 and parts < max_specs
        if ends:
            part_files, part_bytes, parts = 0, 0, parts + 1
        part_files += 1
        part_bytes += file_bytes
        return ends

    return cut_rows(work, ("size_bytes",), begins)
