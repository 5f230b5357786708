"""New files → recordings: hash, inspect, note where each was seen.

Works through one ingest spec. What it has found is committed every so many files, so that
a killed task loses little; everything it writes is keyed, so that doing it twice is harmless.
"""

from __future__ import annotations

import hashlib
import logging
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, BinaryIO

import pyarrow as pa

from nightscribe.annotate import ANNOTATIONS, annotate, annotations_from
from nightscribe.archive import Kind, Rejection, open_sources, read_container, source_uri
from nightscribe.audio.decode import inspect
from nightscribe.errors import Reason, Rejected
from nightscribe.lake.catalog import connect
from nightscribe.lake.rows import KEYS, rejected_row, rows_of
from nightscribe.lake.store import Lake
from nightscribe.progress import Progress
from nightscribe.settings import Settings

log = logging.getLogger(__name__)

_READ_BYTES = 1 << 20
_COMMIT_FILES = 2_000
_COMMIT_S = 60.0


@dataclass
class Ingested:
    """Counts of one ingest task."""

    files: int = 0
    recordings: int = 0
    already_known: int = 0
    rejected: int = 0
    audio_s: float = 0.0

    def summary(self) -> str:
        """One line for people."""
        return (
            f"ingest: {self.files} files, {self.recordings} new recordings "
            f"({self.audio_s / 3600:.3f} h of audio), {self.already_known} known already, "
            f"{self.rejected} rejected"
        )


def ingest(lake: Lake, spec: str, run_id: str, *, settings: Settings | None = None) -> Ingested:
    """Read every file of an ingest spec; commit recordings, sources and rejections."""
    files = lake.read_spec(spec).to_pylist()
    size = sum(row["size_bytes"] for row in files)
    with Progress("ingest", len(files), size / 1e6, "MB") as progress:
        work = _Work(lake, run_id, settings or Settings(), progress)
        _ingest_plain(work, [row for row in files if row["kind"] == Kind.AUDIO.value])
        for row in files:
            if row["kind"] == Kind.CONTAINER.value:
                _ingest_container(work, row)
                progress.add(row["size_bytes"] / 1e6)
        work.commit()
    return work.counts


@dataclass
class _Work:
    """Rows that are found but not committed yet."""

    lake: Lake
    run_id: str
    settings: Settings
    progress: Progress
    counts: Ingested = field(default_factory=Ingested)
    rows: dict[str, list[dict[str, Any]]] = field(
        default_factory=lambda: {"recordings": [], "sources": [], "rejected": []}
    )
    committed: float = field(default_factory=time.monotonic)

    def __post_init__(self) -> None:
        with connect(self.lake) as connection:
            ids = connection.sql("SELECT recording_id FROM recordings").fetchall()
        # 32 bytes a digest instead of 64 characters: a million recordings in 70 MB.
        self.known = {bytes.fromhex(row[0]) for row in ids}

    def reject(self, uri: str, reason: Reason, detail: str, version: str) -> None:
        log.warning("%s: %s: %s", uri, reason.value, detail)
        self.counts.files += 1
        self.counts.rejected += 1
        self.rows["rejected"].append(rejected_row(uri, reason, detail, version=version))

    def add(self, file: BinaryIO, source: dict[str, Any], uri: str) -> None:
        """Hash and, if its content is new, inspect one file; a bad one is set aside."""
        try:
            recording_id = content_id(file)
            digest = bytes.fromhex(recording_id)
            new = digest not in self.known
            if new:
                self.rows["recordings"].append(_recording(file, recording_id, self.settings))
                self.counts.audio_s += self.rows["recordings"][-1]["duration_s"]
                self.known.add(digest)
        except Rejected as rejected:
            self.reject(uri, rejected.reason, rejected.detail, source["version"])
            return
        except OSError as error:
            self.reject(uri, Reason.UNREADABLE, str(error), source["version"])
            return
        self.counts.files += 1
        self.counts.recordings += new
        self.counts.already_known += not new
        self.rows["sources"].append({**source, "recording_id": recording_id})
        if (
            len(self.rows["sources"]) >= _COMMIT_FILES
            or time.monotonic() - self.committed > _COMMIT_S
        ):
            self.commit()

    def commit(self) -> None:
        """Recordings before sources: whoever finds a source finds its recording."""
        tables = {name: rows_of(name, rows, self.run_id) for name, rows in self.rows.items()}
        self.lake.insert_new("recordings", tables["recordings"], KEYS["recordings"])
        self.lake.upsert("sources", tables["sources"], KEYS["sources"])
        self.lake.insert_new("rejected", tables["rejected"], KEYS["rejected"])
        for rows in self.rows.values():
            rows.clear()
        self.committed = time.monotonic()


def _ingest_plain(work: _Work, files: list[dict[str, Any]]) -> None:
    by_source = {(row["archive"], row["member"]): row for row in files}
    for (archive, member), file in open_sources(list(by_source), work.settings.limits):
        row = by_source[archive, member]
        if isinstance(file, Rejection):
            work.reject(row["uri"], file.reason, file.detail, row["version"])
        else:
            work.add(file, _source(row, member, row["position"], row), row["uri"])
        work.progress.add(row["size_bytes"] / 1e6)


def _ingest_container(work: _Work, container: dict[str, Any]) -> None:
    archive = container["archive"]
    annotations: list[pa.Table] = []
    members: set[str] = set()
    readable = True
    for member in read_container(archive, work.settings.limits):
        if isinstance(member, Rejection):
            # What damages the container as a whole is noted with the container's own version:
            # then the next scan does not open it again until it changes.
            readable = readable and member.uri != archive
            version = container["version"] if member.uri == archive else member.version
            work.reject(member.uri, member.reason, member.detail, version)
            members.add(member.uri.removeprefix(f"{archive}!/"))
            continue
        members.add(member.member)
        if member.kind == Kind.MANIFEST:
            try:
                found = annotations_from(
                    archive, container["collection"], member.member, member.file, member.version
                )
            except OSError as error:
                work.reject(member.uri, Reason.MANIFEST_UNREADABLE, str(error), member.version)
                continue
            work.rows["rejected"].extend(found.problems)
            work.counts.rejected += len(found.problems)
            annotations.append(found.rows)
        else:
            source = _source(
                {"version": member.version, "size_bytes": member.size_bytes},
                member.member,
                member.position,
                container,
            )
            work.add(member.file, source, member.uri)
    named = pa.concat_tables([ANNOTATIONS.empty_table(), *annotations])
    for row in named.to_pylist():
        if row["member"] not in members:
            work.reject(
                source_uri(archive, row["member"]),
                Reason.MANIFEST_MISSING_FILE,
                f"named in line {row['line']} of a manifest, but not in the archive",
                container["version"],
            )
    work.commit()
    annotate(work.lake, named, work.run_id)
    if readable:
        seen = {
            "uri": container["uri"],
            "size_bytes": container["size_bytes"],
            "version": container["version"],
            "kind": "container",
            "entries": len(members),
        }
        work.lake.insert_new("scans", rows_of("scans", [seen], work.run_id), KEYS["scans"])


def content_id(file: BinaryIO) -> str:
    """SHA-256 of a file's bytes, in hexadecimal; the file is left at its start.

    Raises `Rejected` for a file without a byte.
    """
    digest = hashlib.sha256()
    size = 0
    for block in _blocks(file):
        digest.update(block)
        size += len(block)
    if size == 0:
        raise Rejected(Reason.EMPTY_FILE, "the file has no bytes")
    file.seek(0)
    return digest.hexdigest()


def _blocks(file: BinaryIO) -> Iterator[bytes]:
    while block := file.read(_READ_BYTES):
        yield block


def _recording(file: BinaryIO, recording_id: str, settings: Settings) -> dict[str, Any]:
    found = inspect(
        file, min_duration_s=settings.min_duration_s, max_duration_s=settings.max_duration_s
    )
    return {
        "recording_id": recording_id,
        "duration_s": found.duration_s,
        "container": found.info.container,
        "codec": found.info.codec,
        "sample_rate": found.info.sample_rate,
        "channels": found.info.channels,
        "size_bytes": file.seek(0, 2),
        "warning": found.warning,
    }


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
