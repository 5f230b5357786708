"""Ingest: turn new files into recordings and sources.

One call ingests the files of one spec. This process reads and hashes them while worker processes
decode them. A file that crashes FFmpeg ends a worker only, and becomes a row of `rejected`. Rows
are written in the order of the spec, which does not depend on the order of decoding. Every row has
a key, so a spec can be ingested again without duplicates.
"""

from __future__ import annotations

from typing import Any

import pyarrow as pa

from nightscribe.archives.entries import PassedOver, Rejection
from nightscribe.archives.kinds import Kind
from nightscribe.archives.opening import open_sources
from nightscribe.archives.reading import read_container
from nightscribe.audio.cores import usable_cores
from nightscribe.audio.operations import Inspection
from nightscribe.audio.workers import Workers
from nightscribe.errors import Reason
from nightscribe.lake.damage import explains
from nightscribe.lake.specs import read_spec
from nightscribe.lake.tables import Lake
from nightscribe.manifests.annotate import ANNOTATIONS, annotate, annotations_from
from nightscribe.manifests.spelling import missing_detail, same_spelling
from nightscribe.progress import Progress
from nightscribe.settings import Settings
from nightscribe.stages.account import write_accounts
from nightscribe.stages.disappeared import note_members
from nightscribe.stages.ingest_queue import Ingested, IngestQueue
from nightscribe.uris import join_uri, split_uri

__all__ = ["ingest", "ingest_scanned"]

# Encoded bytes per worker. To decode them takes several times as long as to start a worker.
_WORKER_BYTES = 8 * 1024**2
_FILE_BYTES = 8 * 1024  # to open a file takes about as long as to decode this many bytes


@explains
def ingest(lake: Lake, spec: str, run_id: str, *, settings: Settings) -> Ingested:
    """Read every file of an ingest spec; commit recordings, sources and rejections."""
    files = read_spec(lake, spec).to_pylist()
    size = sum(row["size_bytes"] for row in files)
    inspection = Inspection(settings.min_duration_s, settings.max_duration_s)
    with (
        Progress("ingest", len(files), size / 1e6, "MB") as progress,
        Workers(_workers_for(len(files), size), inspection) as workers,
    ):
        queue = IngestQueue(lake, run_id, settings, progress, workers)
        _ingest_plain(queue, [row for row in files if row["kind"] == Kind.AUDIO.value])
        for row in files:
            if row["kind"] == Kind.CONTAINER.value:
                _ingest_container(queue, row)
                progress.add(row["size_bytes"] / 1e6)
        queue.finish()
        queue.commit()
    return queue.counts


@explains
def ingest_scanned(lake: Lake, spec: str, run_id: str, *, settings: Settings) -> Ingested:
    """Ingest a spec that a scan has written, and write its part of the run's account."""
    found = ingest(lake, spec, run_id, settings=settings)
    write_accounts(lake, run_id, spec, found.accounts.values())
    return found


def _workers_for(files: int, size_bytes: int) -> int:
    """Number of workers for this many files and encoded bytes: 1 to the number of usable cores."""
    work = files * _FILE_BYTES + size_bytes
    return max(1, min(usable_cores(), work // _WORKER_BYTES))


def _ingest_plain(queue: IngestQueue, files: list[dict[str, Any]]) -> None:
    by_source = {(row["archive"], row["member"]): row for row in files}
    for (archive, member), file in open_sources(list(by_source), queue.settings.limits):
        row = by_source[archive, member]
        if isinstance(file, Rejection):
            account = queue.counts.account(row["collection"])
            queue.reject(
                row["uri"], file.reason, file.detail, row["version"], account, row["size_bytes"]
            )
        else:
            source = _source(row, member, row["position"], row)
            queue.add(file, source, row["uri"], row["size_bytes"])


def _ingest_container(queue: IngestQueue, container: dict[str, Any]) -> None:
    archive = container["archive"]
    annotations: list[pa.Table] = []
    members: set[str] = set()
    readable = True
    account = queue.counts.account(container["collection"])
    account.new -= 1
    for member in read_container(archive, queue.settings.limits):
        if isinstance(member, PassedOver):
            account.pass_over(member)
            continue
        if isinstance(member, Rejection):
            # A rejection of the whole container has the container's version, so that the next
            # scan does not open it again until it changes.
            whole = member.uri == container["uri"]
            readable = readable and not whole
            version = container["version"] if whole else member.version
            queue.reject(member.uri, member.reason, member.detail, version, account)
            members.add(split_uri(member.uri)[1])
            if member.again:
                queue.unread.add(archive)
            continue
        members.add(member.member)
        if member.kind == Kind.MANIFEST:
            queue.finish()  # keeps rows in the order of the spec
            try:
                found = annotations_from(
                    archive, container["collection"], member.member, member.file, member.version
                )
            except OSError as error:
                queue.reject(member.uri, Reason.UNREADABLE, str(error), member.version, account)
                queue.unread.add(archive)
                continue
            queue.rows["rejected"].extend(found.problems)
            queue.counts.rejected += len(found.problems)
            annotations.append(found.rows)
            unreadable = any(problem["uri"] == member.uri for problem in found.problems)
            account.rejected += unreadable
            account.used += not unreadable
        else:
            source = _source(
                {"version": member.version, "size_bytes": member.size_bytes},
                member.member,
                member.position,
                container,
            )
            queue.add(member.file, source, member.uri)
    named = _as_members(pa.concat_tables([ANNOTATIONS.empty_table(), *annotations]), members)
    for row in named.to_pylist():
        if readable and row["member"] not in members:
            queue.reject(
                join_uri(archive, row["member"]),
                Reason.MANIFEST_MISSING_FILE,
                missing_detail(row, members),
                container["version"],
                None,
            )
    queue.finish()
    if named.num_rows:
        queue.commit()
        annotate(queue.lake, named, queue.run_id)
    if readable:
        account.used += 1
        if archive in queue.read_before:
            note_members(queue.lake, archive, members, queue.run_id)
    # Without this row, the next scan finds the container new, and its members are tried again.
    if readable and archive not in queue.unread:
        seen = {
            "uri": container["uri"],
            "size_bytes": container["size_bytes"],
            "version": container["version"],
            "kind": "container",
            "entries": len(members),
        }
        queue.rows["scans"].append(seen)


def _as_members(named: pa.Table, members: set[str]) -> pa.Table:
    """The annotations with names that are canonically equal to a member written as that one."""
    spellings: dict[str, list[str]] = {}
    for member in members:
        spellings.setdefault(same_spelling(member), []).append(member)
    written = [
        same[0]
        if member not in members and len(same := spellings.get(same_spelling(member), [])) == 1
        else member
        for member in named["member"].to_pylist()
    ]
    at = named.schema.get_field_index("member")
    return named.set_column(at, "member", pa.array(written, pa.string()))


def _source(
    version: dict[str, Any], member: str, position: int, listed: dict[str, Any]
) -> dict[str, Any]:
    return {
        "archive": listed["archive"],
        "member": member,
        "collection": listed["collection"],
        "position": position,
        "size_bytes": version["size_bytes"],
        "version": version["version"],
        "language_hint": None,
        "metadata": None,
    }
