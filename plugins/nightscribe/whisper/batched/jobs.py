"""The jobs that are being worked on, and the results of those that have ended."""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import dataclass
from typing import Any

from nightscribe.audio.speech import Clips
from nightscribe.errors import Rejected
from nightscribe.whisper.batched.encoded_windows import RecordingFeatures
from nightscribe.whisper.batched.longform import LongformResult, OnSegments, transcribe_recording
from nightscribe.whisper.batched.model_shape import ModelShape
from nightscribe.whisper.batched.network_requests import NetworkRequest
from nightscribe.whisper.contract import Failure, Job, Request, Transcript, failure_of, failures_of

__all__ = ["ActiveJob", "ActiveRecording", "JobQueue"]


@dataclass(eq=False)
class ActiveRecording:
    """A decoded recording with at least one job that has not ended."""

    request: Request
    features: RecordingFeatures
    duration_s: float
    warning: str | None
    speech: Clips | None = None  # where somebody speaks, if a job asks for it
    language: tuple[str, float] | None = None  # code and probability, once detected


@dataclass(eq=False)
class ActiveJob:
    """One job of a recording: its algorithm, and the request that waits for an answer."""

    recording: ActiveRecording
    job: Job
    algorithm: Generator[NetworkRequest, Any, LongformResult]
    waits_for: NetworkRequest | None = None
    in_slot: bool = False

    @property
    def recording_id(self) -> str:
        """The recording's id."""
        return self.recording.request.recording_id


class JobQueue:
    """Jobs in the order in which they started, and results that the caller has not taken yet."""

    def __init__(self, shape: ModelShape) -> None:
        self._shape = shape
        self.active: list[ActiveJob] = []
        self.results: list[Transcript | Failure] = []

    def start(self, recording: ActiveRecording, on_segments: OnSegments | None) -> None:
        """Start all jobs of a recording; each runs until its first request to the network."""
        for job in recording.request.jobs:
            algorithm = transcribe_recording(
                recording.features.log_mel.frames,
                job.task,
                job.options,
                self._shape,
                on_segments,
                recording.speech if job.options.speech_only else None,
            )
            active = ActiveJob(recording, job, algorithm)
            self.active.append(active)
            self.resume(active, None)

    def resume(self, job: ActiveJob, answer: Any) -> None:
        """Give a job the answer that it waits for; it runs until its next request, or its end."""
        try:
            job.waits_for = job.algorithm.send(answer)
        except StopIteration as end:
            self._finish(job, end.value)
        except Exception as error:
            self.abandon(job, error)

    def abandon(self, job: ActiveJob, error: Exception) -> None:
        """End a job with a failure, so that it does not stop the others."""
        failure = failure_of(job.recording_id, job.job, error)
        self.active.remove(job)
        self.results.append(failure)

    def reject(self, request: Request, rejected: Rejected) -> None:
        """Fail all jobs of a recording that cannot be decoded."""
        self.results += failures_of(request, rejected)

    def clear(self) -> None:
        """Drop all jobs and results."""
        self.active.clear()
        self.results.clear()

    def _finish(self, job: ActiveJob, result: LongformResult) -> None:
        self.active.remove(job)
        self.results.append(
            Transcript(
                recording_id=job.recording_id,
                job=job.job,
                language=result.language,
                language_probability=result.language_probability,
                text=result.text,
                segments=result.segments,
                duration_s=job.recording.duration_s,
                warning=job.recording.warning,
            )
        )
