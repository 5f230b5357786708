"""One attempt at a batch: what the engine gives is collected, then committed in one piece.

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
from collections.abc import Iterator
from typing import Any

from nightscribe.errors import Reason
from nightscribe.lake.keys import KEYS
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
    """An attempt at transcripts that are wanted: rows of a batch spec, all of one model.

    Attributes:
        transcripts, segments, failures: rows for the lake
        postponed: what the time did not suffice for, recording and job
        audio_s, wall_s: seconds of audio transcribed, and seconds that it took
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
        # In the order of the spec, which is that of the archives.
        self._unfinished = {
            (row["recording_id"], row["task"], row["options_key"]): _job(row) for row in rows
        }

    def work(self, engine: Engine) -> None:
        """Run the engine until all is done, or the batch's time is over."""
        limit_s = self._settings.batch_hours_max * 3600
        with Progress("transcribe", len(self._unfinished), self._total_s, "audio") as progress:
            for result in self._results(engine):
                if isinstance(result, Failure):
                    self._add_failure(result)
                    progress.add(0.0)
                else:
                    self._add_transcript(result)
                    progress.add(result.duration_s)
                if self._unfinished and progress.elapsed_s > limit_s:
                    break
        self.postponed = [(key[0], job) for key, job in self._unfinished.items()]
        if self.postponed:
            log.warning("out of time: %d transcripts are left to the next run", len(self.postponed))
        self.audio_s = sum(row["duration_s"] for row in self.transcripts)
        self.wall_s = progress.elapsed_s

    def commit(self, *, replace: bool, transaction: str) -> None:
        """Make the attempt visible, all or nothing.

        With `replace`, its transcripts replace those with the same key, and what was postponed
        is noted: the next run makes it. Without, transcripts that are there already stay, and
        the next run finds what is missing by itself. A complete attempt leaves `transaction` in
        the log of the table `transcripts`.
        """
        lake, run_id = self._lake, self._run_id
        lake.append("segments", rows_of("segments", self.segments))
        lake.append("batches", rows_of("batches", [self._batch_row()], run_id))
        failures = rows_of("rejected", self.failures, run_id)
        # Their time is renewed where they are there: planning compares it with the sources' time.
        lake.upsert("rejected", failures, KEYS["rejected"], restamp=True)
        rows = rows_of("transcripts", self.transcripts, run_id)
        transactions = [] if self.postponed else [transaction]
        if replace:
            self._note_postponed()
            lake.upsert("transcripts", rows, KEYS["transcripts"], transactions)
        else:
            lake.insert_new("transcripts", rows, KEYS["transcripts"], transactions)

    def _note_postponed(self) -> None:
        detail = "was to be made again, and the batch ran out of time; the next run makes it"
        rows = [
            self._rejected_row(recording_id, job, Reason.POSTPONED, detail)
            for recording_id, job in self.postponed
        ]
        noted = rows_of("rejected", rows, self._run_id)
        self._lake.upsert("rejected", noted, KEYS["rejected"], restamp=True)

    def _results(self, engine: Engine) -> Iterator[Transcript | Failure]:
        """What the engine gives, and failures for recordings whose bytes are gone."""
        jobs: dict[str, tuple[Job, ...]] = {}
        for (recording_id, _, _), job in self._unfinished.items():
            jobs[recording_id] = (*jobs.get(recording_id, ()), job)
        gone: list[Failure] = []

        def give_up(recording_id: str, detail: str) -> None:
            gone.extend(
                Failure(recording_id, job, Reason.CHANGED, detail) for job in jobs[recording_id]
            )

        wanted = requests(self._sources, jobs, self._settings.limits, give_up)
        for result in engine(wanted, self._model):
            yield result
            while gone:
                yield gone.pop(0)
        yield from gone

    def _add_failure(self, failure: Failure) -> None:
        reason, detail = failure.reason, failure.detail
        log.warning("%s: %s: %s: %s", failure.recording_id, failure.job.task, reason.value, detail)
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
