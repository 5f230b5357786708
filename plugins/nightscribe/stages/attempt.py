"""One attempt at a batch: collects the engine's results, then commits them together.

The commit writes segments, the attempt (table `batches`), rejections and transcripts, in this
order. The views show segments and attempts only of existing transcripts, so the last write makes
the batch visible. If the process dies earlier, no view shows the rows that it has written.
"""

from __future__ import annotations

import json
import logging
import os
import socket
import uuid
from collections.abc import Iterator
from typing import Any

from structlog.contextvars import bound_contextvars

from nightscribe.errors import Reason
from nightscribe.lake.keys import KEYS
from nightscribe.lake.reading import read
from nightscribe.lake.replaced import note_replaced
from nightscribe.lake.rows import rejected_row, rows_of
from nightscribe.lake.tables import Lake
from nightscribe.lake.transcripts import segment_rows
from nightscribe.progress import Progress
from nightscribe.settings import Settings
from nightscribe.stages.requests import requests
from nightscribe.uris import join_uri
from nightscribe.whisper.contract import Engine, Failure, Job, LoadedModel, Transcript
from nightscribe.whisper.engines import versions
from nightscribe.whisper.options import Options

__all__ = ["Attempt"]

log = logging.getLogger(__name__)

Row = dict[str, Any]


class Attempt:
    """An attempt at the transcripts of a batch spec, or at some of them; all are of one model.

    Attributes:
        transcripts, segments, failures: rows for the lake
        postponed: (recording_id, job) of each transcript that the batch had no time for
        audio_s, wall_s: seconds of audio transcribed, and wall time in seconds
    """

    def __init__(
        self,
        lake: Lake,
        model: LoadedModel,
        rows: list[Row],
        run_id: str,
        batch_id: str,
        settings: Settings,
    ) -> None:
        self.transcripts: list[Row] = []
        self.segments: list[Row] = []
        self.failures: list[Row] = []
        self.postponed: list[tuple[str, Job]] = []
        self.audio_s = self.wall_s = 0.0
        self._lake, self._model, self._run_id, self._batch_id = lake, model, run_id, batch_id
        self._settings = settings
        self._attempt_id = uuid.uuid4().hex
        self._versions = json.dumps(versions(), sort_keys=True)
        self._sources = {
            row["recording_id"]: [(s["archive"], s["member"]) for s in row["sources"]]
            for row in rows
        }
        self._total_s = sum(row["duration_s"] for row in rows)
        self._durations_s = {row["recording_id"]: row["duration_s"] for row in rows}
        # In the order of the spec, which is the order of the archives.
        self._unfinished = {
            (row["recording_id"], row["task"], row["options_key"]): _job(row) for row in rows
        }

    def work(self, engine: Engine) -> None:
        """Run the engine until every transcript is done or `batch_hours_max` is reached."""
        limit_s = self._settings.batch_hours_max * 3600
        with Progress("transcribe", len(self._unfinished), self._total_s, "audio") as progress:
            for result in self._results(engine):
                if isinstance(result, Failure):
                    self._add_failure(result)
                    progress.drop(self._durations_s[result.recording_id])
                else:
                    self._add_transcript(result)
                    progress.add(result.duration_s)
                if self._unfinished and progress.elapsed_s > limit_s:
                    break
        self.postponed = [(key[0], job) for key, job in self._unfinished.items()]
        if self.postponed:
            log.warning("out of time: %d transcripts left to the next run", len(self.postponed))
        self.audio_s = sum(row["duration_s"] for row in self.transcripts)
        self.wall_s = progress.elapsed_s

    def commit(self, *, replace: bool, transaction: str) -> None:
        """Commit the attempt: all of its rows become visible, or none.

        With `replace`, its transcripts replace those with the same key, and postponed ones that
        exist are recorded in `rejected`, so that the next run replaces them. Without `replace`,
        existing transcripts stay, and the next run finds the missing ones without a record. A
        complete attempt writes `transaction` to the log of the table `transcripts`.
        """
        lake, run_id = self._lake, self._run_id
        lake.append("segments", rows_of("segments", self.segments))
        lake.append("batches", rows_of("batches", [self._batch_row()], run_id))
        failures = rows_of("rejected", self.failures, run_id)
        # A row that exists gets a new time: planning compares it with the time of the sources.
        lake.upsert("rejected", failures, KEYS["rejected"], restamp=True)
        rows = rows_of("transcripts", self.transcripts, run_id)
        transactions = [] if self.postponed else [transaction]
        if replace:
            self._record_postponed()
            note = note_replaced(lake, rows)
            lake.upsert("transcripts", rows, KEYS["transcripts"], transactions, note=note)
        else:
            lake.insert_new("transcripts", rows, KEYS["transcripts"], transactions)

    def _record_postponed(self) -> None:
        if not self.postponed:
            return
        detail = "not transcribed again: the batch ran out of time; the next run transcribes it"
        found = read(
            self._lake,
            """SELECT recording_id, task, options_key FROM transcripts
               WHERE model_id = $model_id AND recording_id IN (SELECT unnest($ids))""",
            model_id=self._model.model_id,
            ids=[recording_id for recording_id, _ in self.postponed],
        )
        existing = {tuple(row.values()) for row in found.to_pylist()}
        rows = [
            self._rejected_row(recording_id, job, Reason.POSTPONED, detail)
            for recording_id, job in self.postponed
            if (recording_id, job.task, job.options.key) in existing
        ]
        rejected = rows_of("rejected", rows, self._run_id)
        self._lake.upsert("rejected", rejected, KEYS["rejected"], restamp=True)

    def _results(self, engine: Engine) -> Iterator[Transcript | Failure]:
        """The engine's results, and failures for recordings without an unchanged source."""
        jobs: dict[str, tuple[Job, ...]] = {}
        for (recording_id, _, _), job in self._unfinished.items():
            jobs[recording_id] = (*jobs.get(recording_id, ()), job)
        unavailable: list[Failure] = []

        def fail(recording_id: str, detail: str) -> None:
            unavailable.extend(
                Failure(recording_id, job, Reason.CHANGED, detail) for job in jobs[recording_id]
            )

        wanted = requests(self._sources, jobs, self._settings.limits, fail)
        for result in engine(wanted, self._model):
            yield result
            while unavailable:
                yield unavailable.pop(0)
        yield from unavailable

    def _add_failure(self, failure: Failure) -> None:
        reason, detail = failure.reason, failure.detail
        with bound_contextvars(recording_id=failure.recording_id, reason=reason.value):
            log.warning(
                "%s: %s: %s: %s", failure.recording_id, failure.job.task, reason.value, detail
            )
        self._finish(failure.recording_id, failure.job)
        self.failures.append(self._rejected_row(failure.recording_id, failure.job, reason, detail))

    def _add_transcript(self, result: Transcript) -> None:
        transcript_id = uuid.uuid4().hex
        self._finish(result.recording_id, result.job)
        self.transcripts.append(self._transcript_row(transcript_id, result))
        self.segments.extend(segment_rows(transcript_id, result.recording_id, result.segments))

    def _finish(self, recording_id: str, job: Job) -> None:
        del self._unfinished[recording_id, job.task, job.options.key]

    def _transcript_row(self, transcript_id: str, result: Transcript) -> Row:
        segments = result.segments
        tokens = [len(segment["tokens"]) for segment in segments]
        weighted = sum(s["avg_logprob"] * n for s, n in zip(segments, tokens, strict=True))
        return {
            "transcript_id": transcript_id,
            "recording_id": result.recording_id,
            "model_id": self._model.model_id,
            "task": result.job.task,
            "options_key": result.job.options.key,
            "model": self._model.name,
            "options": result.job.options.to_json(),
            "language": result.language,
            "language_probability": result.language_probability,
            "text": result.text,
            "duration_s": result.duration_s,
            "avg_logprob": weighted / sum(tokens) if sum(tokens) else None,
            "temperature": max((s["temperature"] for s in segments), default=None),
            "segment_count": len(segments),
            "engine": self._settings.engine,
            "precision": self._model.precision,
            "versions": self._versions,
            "batch_id": self._batch_id,
            "attempt_id": self._attempt_id,
        }

    def _rejected_row(self, recording_id: str, job: Job, reason: Reason, detail: str) -> Row:
        return rejected_row(
            join_uri(*self._sources[recording_id][0]),
            reason,
            detail,
            recording_id=recording_id,
            model_id=self._model.model_id,
            task=job.task,
            options_key=job.options.key,
        )

    def _batch_row(self) -> Row:
        return {
            "attempt_id": self._attempt_id,
            "batch_id": self._batch_id,
            "model_id": self._model.model_id,
            "recordings": len(self._sources),
            "transcripts": len(self.transcripts),
            "rejections": len(self.failures),
            "device": self._model.device_name,
            "audio_s": self.audio_s,
            "wall_s": self.wall_s,
            "rtfx": self.audio_s / self.wall_s if self.wall_s else 0.0,
            "peak_memory_bytes": self._model.peak_memory_bytes(),
            "worker": f"{socket.gethostname()}:{os.getpid()}",
        }


def _job(row: Row) -> Job:
    return Job(row["task"], Options.from_mapping(json.loads(row["options"])))
