"""The queue of an ingest task: files are hashed, decoded by workers, and recorded in order.

Rows are committed after `_COMMIT_FILES` files or `_COMMIT_S` seconds, so that a killed task loses
little work.
"""

from __future__ import annotations

import logging
import os
import time
from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any, BinaryIO

from structlog.contextvars import bound_contextvars

from nightscribe.audio.decode import Inspected
from nightscribe.audio.workers import Crashed, Workers
from nightscribe.errors import AudioWarning, Reason, Rejected, WarningKind, warning_text
from nightscribe.lake.forgetting import Job, add_job, file_id, note_sources
from nightscribe.lake.keys import KEYS
from nightscribe.lake.reading import connect
from nightscribe.lake.rows import rejected_row, rows_of
from nightscribe.lake.tables import Lake
from nightscribe.progress import Progress
from nightscribe.recordings import content_id
from nightscribe.settings import Settings
from nightscribe.stages.account import Account
from nightscribe.stages.disappeared import Place, note_contents

__all__ = ["IngestQueue", "Ingested"]

log = logging.getLogger(__name__)

_COMMIT_FILES = 2_000
_COMMIT_S = 60.0
_MAX_FILES = 256  # in the queue; each may be an open file


@dataclass
class Ingested:
    """Counts of one ingest task."""

    files: int = 0
    recordings: int = 0
    already_known: int = 0
    rejected: int = 0
    audio_s: float = 0.0
    accounts: dict[str, Account] = field(default_factory=dict)  # by collection

    def account(self, collection: str) -> Account:
        """The account of a collection."""
        return self.accounts.setdefault(collection, Account(collection))

    def summary(self) -> str:
        """One line for people."""
        return (
            f"ingest: {self.files} files, {self.recordings} new recordings "
            f"({self.audio_s / 3600:.3f} h of audio), {self.already_known} known already, "
            f"{self.rejected} rejected"
        )


@dataclass(eq=False)
class _File:
    """A file in the queue, and its result."""

    uri: str
    version: str
    account: Account | None  # None for an input that is not a file, such as a manifest's line
    listed_bytes: int | None  # counted as progress; None for a member of a listed container
    source: dict[str, Any] | None = None  # row of `sources`
    recording_id: str = ""
    size_bytes: int = 0
    outcome: Inspected | Rejected | None = None
    waiting: bool = False  # a worker has yet to decode its content
    is_forgotten: bool = False

    @property
    def log_fields(self) -> dict[str, str]:
        """Fields of the lines that are logged about it, named as the columns of `rejected`."""
        known = {"recording_id": self.recording_id} if self.recording_id else {}
        return {"uri": self.uri, **known}


@dataclass
class IngestQueue:
    """Files without a row, in the order of the spec, and rows that are not committed yet.

    `add` or `reject` every file, then call `finish` and `commit`.
    """

    lake: Lake
    run_id: str
    settings: Settings
    progress: Progress
    workers: Workers[Inspected]
    counts: Ingested = field(default_factory=Ingested)
    rows: dict[str, list[dict[str, Any]]] = field(
        default_factory=lambda: {
            "warnings": [],
            "waveforms": [],
            "recordings": [],
            "sources": [],
            "rejected": [],
            "scans": [],
        }
    )
    unread: set[str] = field(default_factory=set)  # archives with a file to be tried again
    # Forgotten recording → files that are new to the lake, as rows of `sources`.
    elsewhere: dict[str, list[dict[str, Any]]] = field(default_factory=dict)
    lost: list[Place] = field(default_factory=list)  # where a file is that cannot be used
    committed: float = field(default_factory=time.monotonic)
    files: deque[_File] = field(default_factory=deque)
    numbers: dict[str, int] = field(default_factory=dict)  # recording_id → number in `workers`
    waiting: dict[int, list[_File]] = field(default_factory=dict)  # number in `workers` → files

    def __post_init__(self) -> None:
        with connect(self.lake, views=["recordings", "sources", "forgotten"]) as connection:
            ids = connection.sql("SELECT recording_id FROM recordings").fetchall()
            forgotten = connection.sql("SELECT recording_id, files FROM forgotten").fetchall()
            archives = connection.sql("SELECT DISTINCT archive FROM sources").fetchall()
        self.read_before = {archive for (archive,) in archives}
        # 32 bytes per digest instead of 64 characters: a million recordings take 70 MB.
        self.known = {bytes.fromhex(row[0]) for row in ids}
        self.forgotten = {recording_id: set(files) for recording_id, files in forgotten}

    def reject(
        self,
        uri: str,
        reason: Reason,
        detail: str,
        version: str,
        account: Account | None,
        listed_bytes: int | None = None,
    ) -> None:
        """Add an input that cannot be used; `account` is that of the file, if it is one."""
        rejected = Rejected(reason, detail)
        self._append(_File(uri, version, account, listed_bytes, outcome=rejected))

    def add(
        self, file: BinaryIO, source: dict[str, Any], uri: str, listed_bytes: int | None = None
    ) -> None:
        """Add a file: hash it and, if its content is new, submit it to the workers."""
        account = self.counts.account(source["collection"])
        entry = _File(uri, source["version"], account, listed_bytes, source)
        try:
            entry.recording_id = content_id(file)
            entry.size_bytes = file.seek(0, os.SEEK_END)
            if listed_bytes not in (None, entry.size_bytes):
                detail = f"{listed_bytes} bytes when it was listed, and now {entry.size_bytes}"
                raise Rejected(Reason.CHANGED, detail)
            entry.is_forgotten = entry.recording_id in self.forgotten
            if not entry.is_forgotten and bytes.fromhex(entry.recording_id) not in self.known:
                self._inspect(entry, file)
        except Rejected as rejected:
            entry.outcome = rejected
        except OSError as error:
            entry.outcome = Rejected(Reason.UNREADABLE, str(error))
        self._append(entry)

    def finish(self) -> None:
        """Wait until every file of the queue is recorded."""
        while self.files:
            self._receive(wait_for_one=True)

    def _inspect(self, entry: _File, file: BinaryIO) -> None:
        """Submit a file to the workers, unless another file with the same content is there."""
        number = self.numbers.get(entry.recording_id)
        if number is None:
            number = self.workers.submit(file)
            self.numbers[entry.recording_id] = number
        self.waiting.setdefault(number, []).append(entry)
        entry.waiting = True

    def _append(self, entry: _File) -> None:
        self.files.append(entry)
        self._receive(wait_for_one=False)
        while len(self.files) >= _MAX_FILES or self.workers.full:
            self._receive(wait_for_one=True)

    def _receive(self, *, wait_for_one: bool) -> None:
        """Receive the workers' results; record the files at the front that have one."""
        for number, outcome in self.workers.finished(wait_for_one=wait_for_one):
            for entry in self.waiting.pop(number):
                entry.outcome = outcome
                entry.waiting = False
                self.numbers.pop(entry.recording_id, None)
        while self.files and not self.files[0].waiting:
            self._record(self.files.popleft())

    def _record(self, entry: _File) -> None:
        """Add a file's rows; commit if there are many, or if the last commit is long ago."""
        self.counts.files += entry.account is not None
        if entry.account is not None and entry.listed_bytes is not None:
            entry.account.new -= 1
        if isinstance(entry.outcome, Rejected):
            self._record_rejection(entry, entry.outcome)
        elif entry.is_forgotten:
            self._record_forgotten(entry)
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
        with bound_contextvars(**entry.log_fields, reason=rejected.reason.value):
            log.warning("%s: %s: %s", entry.uri, rejected.reason.value, rejected.detail)
        self.counts.rejected += 1
        if entry.account is not None:
            entry.account.rejected += 1
        if entry.source is not None:
            if rejected.reason not in (Reason.UNREADABLE, Reason.CHANGED):
                self.lost.append((entry.source["archive"], entry.source["member"]))
            elif not isinstance(rejected, Crashed):
                self.unread.add(entry.source["archive"])
        # A scan retries an unreadable file, unless its row has a recording_id (it was read to
        # its end, and crashed the decoder).
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

    def _record_forgotten(self, entry: _File) -> None:
        """Note where it is, by a hash, so that it is not read again."""
        assert entry.account is not None
        assert entry.source is not None
        self.counts.already_known += 1
        entry.account.known += 1
        known = self.forgotten[entry.recording_id]
        if (this := file_id(entry.source)) not in known:
            known.add(this)
            self.elsewhere.setdefault(entry.recording_id, []).append(entry.source)

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
            waveform = {
                "recording_id": entry.recording_id,
                "step_s": found.waveform.step_s,
                "levels": bytes(found.waveform.levels),
            }
            self.rows["waveforms"].append(waveform)
            self.rows["warnings"].extend(_warnings(entry.recording_id, found.warnings))
            with bound_contextvars(**entry.log_fields):
                for warning in found.warnings:
                    log.warning("%s: used with a warning: %s", entry.uri, warning.detail)
        assert entry.account is not None
        entry.account.used += 1
        self.rows["sources"].append({**entry.source, "recording_id": entry.recording_id})

    def commit(self) -> None:
        """Commit the rows.

        Every source has its recording, every recording its warnings and its waveform, and a
        container is noted as read after its members.
        """
        if self.elsewhere:
            # A manifest may have said something of it already.
            places = [
                (source["archive"], source["member"], source["collection"])
                for sources in self.elsewhere.values()
                for source in sources
            ]
            add_job(self.lake, Job([*self.elsewhere], places))
            note_sources(self.lake, self.elsewhere)
            self.elsewhere.clear()
        tables = {name: rows_of(name, rows, self.run_id) for name, rows in self.rows.items()}
        self.lake.upsert("warnings", tables["warnings"], KEYS["warnings"])
        self.lake.insert_new("waveforms", tables["waveforms"], KEYS["waveforms"])
        self.lake.insert_new("recordings", tables["recordings"], KEYS["recordings"])
        self.lake.upsert("sources", tables["sources"], KEYS["sources"])
        self.lake.insert_new("rejected", tables["rejected"], KEYS["rejected"])
        used = [(row["archive"], row["member"]) for row in self.rows["sources"]]
        note_contents(
            self.lake, self._known_before(used), self._known_before(self.lost), self.run_id
        )
        self.lost.clear()
        self.lake.insert_new("scans", tables["scans"], KEYS["scans"])
        for rows in self.rows.values():
            rows.clear()
        self.committed = time.monotonic()

    def _known_before(self, places: Iterable[Place]) -> list[Place]:
        """Places in archives of which the lake had sources: only these can have changed."""
        return [place for place in places if place[0] in self.read_before]


def _warnings(recording_id: str, warnings: Iterable[AudioWarning]) -> Iterator[dict[str, Any]]:
    """Rows of `warnings`: one per kind."""
    by_kind: dict[WarningKind, list[AudioWarning]] = {}
    for warning in warnings:
        by_kind.setdefault(warning.kind, []).append(warning)
    for kind, same in by_kind.items():
        known = [warning.missing_s for warning in same if warning.missing_s is not None]
        yield {
            "recording_id": recording_id,
            "kind": kind.value,
            "detail": warning_text(same),
            "missing_s": sum(known) if known else None,
        }


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
