"""Transcribe one batch and commit it: the unit of retry.

Order of the commit: segments, then the attempt, then rejections, then transcripts. The
last is the point at which the batch becomes visible, since the views show segments and
attempts only of transcripts that are there. A process that dies before it leaves rows
that nobody sees; one that dies after it has done its work.
"""

from __future__ import annotations

import json
import logging
import os
import socket
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from nightscribe.archives.entries import Rejection
from nightscribe.archives.opening import open_sources
from nightscribe.errors import ConfigurationError, NightscribeError, Reason
from nightscribe.lake.keys import KEYS
from nightscribe.lake.reading import connect
from nightscribe.lake.rows import rejected_row, rows_of
from nightscribe.lake.specs import read_spec
from nightscribe.lake.tables import Lake
from nightscribe.lake.transcripts import segment_rows
from nightscribe.progress import Progress
from nightscribe.recordings import difference_from
from nightscribe.settings import Settings
from nightscribe.uris import join_uri
from nightscribe.whisper.contract import Failure, Job, LoadedModel, Request, Transcript
from nightscribe.whisper.engines import engine_named, versions
from nightscribe.whisper.options import Options

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Transcribed:
    """What one attempt at a batch came to."""

    batch_id: str
    transcripts: int
    rejections: int
    skipped: int  # made by somebody else in the meantime
    audio_s: float
    wall_s: float

    @property
    def rtfx(self) -> float:
        """Seconds of audio per second of wall time."""
        return self.audio_s / self.wall_s if self.wall_s > 0 else 0.0

    def summary(self) -> str:
        """One line for people."""
        return (
            f"batch {self.batch_id}: {self.transcripts} transcripts, {self.rejections} rejected, "
            f"{self.skipped} there already, {self.audio_s:.1f} s of audio in {self.wall_s:.1f} s, "
            f"RTFx {self.rtfx:.1f}"
        )


def transcribe_batch(
    lake: Lake,
    spec: str,
    run_id: str,
    load: Callable[[str], LoadedModel],
    *,
    settings: Settings | None = None,
) -> Transcribed:
    """Transcribe what a batch spec asks for and is not there yet; commit it in one piece.

    `load` gives the model by name, and is only called if there is something to do. Raises
    `NightscribeError` if the model is not the one that was planned with, `ConfigurationError` if
    it cannot do what the options ask for.
    """
    settings = settings or Settings()
    rows = read_spec(lake, spec).to_pylist()
    batch_id, force = rows[0]["batch_id"], rows[0]["force"]
    transaction = f"batch:{batch_id}"
    if force and lake.was_committed("transcripts", transaction):
        pending: list[dict[str, Any]] = []
    else:
        pending = rows if force else _not_done(lake, rows)
    skipped = len(rows) - len(pending)
    if not pending:
        return Transcribed(batch_id, 0, 0, skipped, 0.0, 0.0)
    model = load(rows[0]["model"])
    if model.checkpoint.model_id != rows[0]["model_id"]:
        raise NightscribeError(
            f"model {rows[0]['model']} was {rows[0]['model_id'][:12]} when the batch was planned "
            f"and is {model.checkpoint.model_id[:12]} here: give every worker the same file, "
            "then start a new run"
        )
    _check_options(pending, model.network.dims.n_vocab)
    attempt = _Attempt(lake, model, pending, run_id, batch_id, settings)
    attempt.work()
    attempt.commit(force, transaction)
    return Transcribed(
        batch_id,
        len(attempt.transcripts),
        len(attempt.failures),
        skipped,
        attempt.audio_s,
        attempt.wall_s,
    )


def _check_options(rows: list[dict[str, Any]], vocabulary_size: int) -> None:
    for options in {row["options"] for row in rows}:
        if mistake := Options.from_mapping(json.loads(options)).mistake_for(vocabulary_size):
            raise ConfigurationError(f"option {mistake}")


def _not_done(lake: Lake, rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    with connect(lake) as connection:
        ids = sorted({row["recording_id"] for row in rows})
        done = connection.execute(
            """SELECT recording_id, task, options_key FROM transcripts
               WHERE model_id = ? AND recording_id IN (SELECT unnest(?))""",
            [rows[0]["model_id"], ids],
        ).fetchall()
    there = set(done)
    return [r for r in rows if (r["recording_id"], r["task"], r["options_key"]) not in there]


class _Attempt:
    """One attempt at a batch: rows collected while the engine works, then committed."""

    def __init__(
        self,
        lake: Lake,
        model: LoadedModel,
        rows: list[dict[str, Any]],
        run_id: str,
        batch_id: str,
        settings: Settings,
    ) -> None:
        self.lake, self.model, self.run_id, self.batch_id = lake, model, run_id, batch_id
        self.settings = settings
        self.attempt_id = uuid.uuid4().hex
        self.rows: dict[str, list[dict[str, Any]]] = {}
        for row in rows:
            self.rows.setdefault(row["recording_id"], []).append(row)
        self.transcripts: list[dict[str, Any]] = []
        self.segments: list[dict[str, Any]] = []
        self.failures: list[dict[str, Any]] = []
        self.audio_s = self.wall_s = 0.0
        self.complete = True

    def work(self) -> None:
        """Run the engine over the batch."""
        total = sum(row["duration_s"] for rows in self.rows.values() for row in rows)
        count = sum(len(rows) for rows in self.rows.values())
        versions_json = json.dumps(versions(), sort_keys=True)
        engine = engine_named(self.settings.engine, slots=self.settings.slots)
        with Progress("transcribe", count, total, "audio") as progress:
            for result in engine(self._requests(), self.model):
                if isinstance(result, Failure):
                    self._add_failure(result.recording_id, result.job, result.reason, result.detail)
                    progress.add(0.0)
                else:
                    self._add_transcript(result, versions_json)
                    progress.add(result.duration_s)
                done = len(self.transcripts) + len(self.failures)
                if done < count and progress.elapsed_s > self.settings.batch_hours_max * 3600:
                    log.warning(
                        "out of time: %d of %d are left to the next run", count - done, count
                    )
                    self.complete = False
                    break
        self.audio_s = sum(row["duration_s"] for row in self.transcripts)
        self.wall_s = progress.elapsed_s

    def commit(self, force: bool, transaction: str) -> None:
        """Make the attempt visible, all or nothing (see the module's docstring)."""
        lake = self.lake
        lake.append("segments", rows_of("segments", self.segments))
        lake.append("batches", rows_of("batches", [self._batch_row()], self.run_id))
        # Renewed where they were there: planning compares their time with that of the sources.
        failures = rows_of("rejected", self.failures, self.run_id)
        lake.upsert("rejected", failures, KEYS["rejected"], restamp=True)
        rows = rows_of("transcripts", self.transcripts, self.run_id)
        # What tells a retry of a forced batch that there is nothing left to do.
        transactions = [transaction] if self.complete else []
        if force:
            lake.upsert("transcripts", rows, KEYS["transcripts"], transactions)
        else:
            lake.insert_new("transcripts", rows, KEYS["transcripts"], transactions)

    def _requests(self) -> Iterator[Request]:
        """Requests in the order in which the archives give their bytes.

        The bytes must still be those that were ingested; if not, the recording's other
        sources are tried, and only when none is left is it set aside.
        """
        waiting = {
            recording_id: [(s["archive"], s["member"]) for s in rows[0]["sources"]]
            for recording_id, rows in self.rows.items()
        }
        trouble: dict[str, list[str]] = {recording_id: [] for recording_id in waiting}
        while waiting:
            first = {sources.pop(0): recording_id for recording_id, sources in waiting.items()}
            for source, file in open_sources(list(first), self.settings.limits):
                recording_id = first[source]
                problem = difference_from(recording_id, file)
                if problem is None:
                    assert not isinstance(file, Rejection)
                    yield Request(recording_id, file, self._jobs(recording_id))
                    del waiting[recording_id]
                else:
                    trouble[recording_id].append(f"{join_uri(*source)}: {problem}")
            for recording_id in [r for r, sources in waiting.items() if not sources]:
                del waiting[recording_id]
                for job in self._jobs(recording_id):
                    detail = "; ".join(trouble[recording_id])
                    self._add_failure(recording_id, job, Reason.CHANGED, detail)

    def _jobs(self, recording_id: str) -> tuple[Job, ...]:
        return tuple(
            Job(row["task"], Options.from_mapping(json.loads(row["options"])))
            for row in self.rows[recording_id]
        )

    def _add_failure(self, recording_id: str, job: Job, reason: Reason, detail: str) -> None:
        log.warning("%s: %s: %s: %s", recording_id, job.task, reason.value, detail)
        source = self.rows[recording_id][0]["sources"][0]
        self.failures.append(
            rejected_row(
                join_uri(source["archive"], source["member"]),
                reason,
                detail,
                recording_id=recording_id,
                model_id=self.model.checkpoint.model_id,
                task=job.task,
                options_key=job.options.key,
            )
        )

    def _add_transcript(self, result: Transcript, versions_json: str) -> None:
        transcript_id = uuid.uuid4().hex
        segments = result.segments
        tokens = [len(segment["tokens"]) for segment in segments]
        weighted = sum(s["avg_logprob"] * n for s, n in zip(segments, tokens, strict=True))
        self.transcripts.append(
            {
                "transcript_id": transcript_id,
                "recording_id": result.recording_id,
                "model_id": self.model.checkpoint.model_id,
                "task": result.job.task,
                "options_key": result.job.options.key,
                "model": self.model.checkpoint.name,
                "options": result.job.options.to_json(),
                "language": result.language,
                "language_probability": result.language_probability,
                "text": result.text,
                "duration_s": result.duration_s,
                "avg_logprob": weighted / sum(tokens) if sum(tokens) else None,
                "temperature": max((s["temperature"] for s in segments), default=None),
                "segment_count": len(segments),
                "engine": self.settings.engine,
                "precision": self.model.precision,
                "versions": versions_json,
                "batch_id": self.batch_id,
                "attempt_id": self.attempt_id,
            }
        )
        self.segments.extend(segment_rows(transcript_id, result.recording_id, segments))

    def _batch_row(self) -> dict[str, Any]:
        return {
            "attempt_id": self.attempt_id,
            "batch_id": self.batch_id,
            "model_id": self.model.checkpoint.model_id,
            "recordings": len(self.rows),
            "transcripts": len(self.transcripts),
            "rejections": len(self.failures),
            "device": self.model.device_name,
            "audio_s": self.audio_s,
            "wall_s": self.wall_s,
            "rtfx": self.audio_s / self.wall_s if self.wall_s else 0.0,
            "peak_memory_bytes": self.model.peak_memory_bytes(),
            "worker": f"{socket.gethostname()}:{os.getpid()}",
        }
