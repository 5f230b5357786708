"""New files → recordings: hash, inspect, note where each was seen.

One call works through one ingest spec. This process reads and hashes; worker processes decode
meanwhile, so that a file which crashes FFmpeg costs one row of `rejected`. Results are taken in
the order of the spec, whatever is decoded first. Rows are committed every so many files, so that a
killed task loses little; every row has a key, so that doing it twice is harmless.
"""

from __future__ import annotations

import logging
import os
import time
from collections import deque
from dataclasses import dataclass, field
from typing import Any, BinaryIO

import pyarrow as pa

from nightscribe.archives.entries import Rejection
from nightscribe.archives.kinds import Kind
from nightscribe.archives.opening import open_sources
from nightscribe.archives.reading import read_container
from nightscribe.audio.cores import usable_cores
from nightscribe.audio.decode import Inspected
from nightscribe.audio.operations import Inspection
from nightscribe.audio.workers import Crashed, Workers
from nightscribe.errors import Reason, Rejected
from nightscribe.lake.keys import KEYS
from nightscribe.lake.reading import connect
from nightscribe.lake.rows import rejected_row, rows_of
from nightscribe.lake.specs import read_spec
from nightscribe.lake.tables import Lake
from nightscribe.manifests.annotate import ANNOTATIONS, annotate, annotations_from
from nightscribe.progress import Progress
from nightscribe.recordings import content_id
from nightscribe.settings import Settings
from nightscribe.uris import join_uri, split_uri

log = logging.getLogger(__name__)

_COMMIT_FILES = 2_000
_COMMIT_S = 60.0
_AHEAD_FILES = 256  # hashed and not yet decoded; each may be an open file
_AHEAD_BYTES = 256 * 1024**2  # of those, in memory
# What keeps a worker busy for several times as long as it takes to start.
_WORKER_BYTES = 8 * 1024**2
_FILE_BYTES = 8 * 1024  # a file takes about as long to open as that many bytes of it to decode


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


def ingest(lake: Lake, spec: str, run_id: str, *, settings: Settings) -> Ingested:
    """Read every file of an ingest spec; commit recordings, sources and rejections."""
    files = read_spec(lake, spec).to_pylist()
    size = sum(row["size_bytes"] for row in files)
    inspection = Inspection(settings.min_duration_s, settings.max_duration_s)
    with (
        Progress("ingest", len(files), size / 1e6, "MB") as progress,
        Workers(_workers_for(len(files), size), inspection) as workers,
    ):
        work = _Work(lake, run_id, settings, progress, workers)
        _ingest_plain(work, [row for row in files if row["kind"] == Kind.AUDIO.value])
        for row in files:
            if row["kind"] == Kind.CONTAINER.value:
                _ingest_container(work, row)
                progress.add(row["size_bytes"] / 1e6)
        work.finish()
        work.commit()
    return work.counts


def _workers_for(files: int, size_bytes: int) -> int:
    """Workers that so many files and encoded bytes keep busy, on the cores that there are."""
    work = files * _FILE_BYTES + size_bytes
    return max(1, min(usable_cores(), work // _WORKER_BYTES))


@dataclass(eq=False)
class _File:
    """A file of the spec, in its place in the order, and what has been found out about it."""

    uri: str
    version: str
    listed_bytes: int | None  # that are done with it; None for a part of a listed file
    source: dict[str, Any] | None = None  # row of `sources`
    recording_id: str = ""
    size_bytes: int = 0
    outcome: Inspected | Rejected | None = None
    waiting: bool = False  # for its content to be decoded


@dataclass
class _Work:
    """Files on their way, and rows that are found but not committed yet."""

    lake: Lake
    run_id: str
    settings: Settings
    progress: Progress
    workers: Workers[Inspected]
    counts: Ingested = field(default_factory=Ingested)
    rows: dict[str, list[dict[str, Any]]] = field(
        default_factory=lambda: {"recordings": [], "sources": [], "rejected": []}
    )
    committed: float = field(default_factory=time.monotonic)
    files: deque[_File] = field(default_factory=deque)
    numbers: dict[str, int] = field(default_factory=dict)  # recording_id → number at the workers
    waiting: dict[int, list[_File]] = field(default_factory=dict)  # that number → its files

    def __post_init__(self) -> None:
        with connect(self.lake) as connection:
            ids = connection.sql("SELECT recording_id FROM recordings").fetchall()
        # 32 bytes a digest instead of 64 characters: a million recordings in 70 MB.
        self.known = {bytes.fromhex(row[0]) for row in ids}

    def reject(
        self, uri: str, reason: Reason, detail: str, version: str, listed_bytes: int | None = None
    ) -> None:
        """Take up a file that cannot be read."""
        self._take_up(_File(uri, version, listed_bytes, outcome=Rejected(reason, detail)))

    def add(
        self, file: BinaryIO, source: dict[str, Any], uri: str, listed_bytes: int | None = None
    ) -> None:
        """Take up a file: hash it and, if its content is new, have it inspected."""
        entry = _File(uri, source["version"], listed_bytes, source)
        try:
            entry.recording_id = content_id(file)
            entry.size_bytes = file.seek(0, os.SEEK_END)
            if bytes.fromhex(entry.recording_id) not in self.known:
                self._inspect(entry, file)
        except Rejected as rejected:
            entry.outcome = rejected
        except OSError as error:
            entry.outcome = Rejected(Reason.UNREADABLE, str(error))
        self._take_up(entry)

    def finish(self) -> None:
        """Wait for all files that were taken up."""
        while self.files:
            self._receive(wait_for_one=True)

    def _inspect(self, entry: _File, file: BinaryIO) -> None:
        """Hand a content to the workers, unless they have it from another file."""
        number = self.numbers.get(entry.recording_id)
        if number is None:
            number = self.workers.submit(file)
            self.numbers[entry.recording_id] = number
        self.waiting.setdefault(number, []).append(entry)
        entry.waiting = True

    def _take_up(self, entry: _File) -> None:
        self.files.append(entry)
        self._receive(wait_for_one=False)
        while len(self.files) >= _AHEAD_FILES or self.workers.waiting_bytes > _AHEAD_BYTES:
            self._receive(wait_for_one=True)

    def _receive(self, *, wait_for_one: bool) -> None:
        """Take what the workers have found, and record the files that are first in order."""
        for number, outcome in self.workers.finished(wait_for_one=wait_for_one):
            for entry in self.waiting.pop(number):
                entry.outcome = outcome
                entry.waiting = False
                self.numbers.pop(entry.recording_id, None)
        while self.files and not self.files[0].waiting:
            self._record(self.files.popleft())

    def _record(self, entry: _File) -> None:
        """Make a file's rows; commit if there are many."""
        self.counts.files += 1
        if isinstance(entry.outcome, Rejected):
            self._record_rejection(entry, entry.outcome)
        else:
            self._record_recording(entry, entry.outcome)
        if entry.listed_bytes is not None:
            self.progress.add(entry.listed_bytes / 1e6)
        if (
            len(self.rows["sources"]) >= _COMMIT_FILES
            or time.monotonic() - self.committed > _COMMIT_S
        ):
            self.commit()

    def _record_rejection(self, entry: _File, rejected: Rejected) -> None:
        log.warning("%s: %s: %s", entry.uri, rejected.reason.value, rejected.detail)
        self.counts.rejected += 1
        # The scan looks again for what could not be read, unless the content is known.
        crashed = entry.recording_id if isinstance(rejected, Crashed) else None
        self.rows["rejected"].append(
            rejected_row(
                entry.uri,
                rejected.reason,
                rejected.detail,
                version=entry.version,
                recording_id=crashed,
            )
        )

    def _record_recording(self, entry: _File, found: Inspected | None) -> None:
        assert entry.source is not None
        digest = bytes.fromhex(entry.recording_id)
        if found is None or digest in self.known:
            self.counts.already_known += 1
        else:
            self.known.add(digest)
            self.counts.recordings += 1
            self.counts.audio_s += found.duration_s
            self.rows["recordings"].append(_recording(entry, found))
        self.rows["sources"].append({**entry.source, "recording_id": entry.recording_id})

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
            work.reject(row["uri"], file.reason, file.detail, row["version"], row["size_bytes"])
        else:
            source = _source(row, member, row["position"], row)
            work.add(file, source, row["uri"], row["size_bytes"])


def _ingest_container(work: _Work, container: dict[str, Any]) -> None:
    archive = container["archive"]
    annotations: list[pa.Table] = []
    members: set[str] = set()
    readable = True
    for member in read_container(archive, work.settings.limits):
        if isinstance(member, Rejection):
            # Damage of the container as a whole is noted with the container's own version: the
            # next scan then does not open it again until it changes.
            whole = member.uri == container["uri"]
            readable = readable and not whole
            version = container["version"] if whole else member.version
            work.reject(member.uri, member.reason, member.detail, version)
            members.add(split_uri(member.uri)[1])
            continue
        members.add(member.member)
        if member.kind == Kind.MANIFEST:
            work.finish()  # rows keep the order of the spec
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
                join_uri(archive, row["member"]),
                Reason.MANIFEST_MISSING_FILE,
                f"named in line {row['line']} of a manifest, but not in the archive",
                container["version"],
            )
    work.finish()
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


def _recording(entry: _File, found: Inspected) -> dict[str, Any]:
    return {
        "recording_id": entry.recording_id,
        "duration_s": found.duration_s,
        "container": found.info.container,
        "codec": found.info.codec,
        "sample_rate": found.info.sample_rate,
        "channels": found.info.channels,
        "size_bytes": entry.size_bytes,
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
