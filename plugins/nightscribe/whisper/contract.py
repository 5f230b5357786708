"""The contract between the stages and Whisper: requests in, finished transcripts out.

An engine pulls a request whenever it has room for one, and yields results in the order in which
they finish. It reads a request's audio before it pulls the next request; after that the file may
be closed. A bad recording yields a `Failure` and does not stop the others.
"""

from __future__ import annotations

import logging
import resource
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any, BinaryIO, Protocol

from structlog.contextvars import bound_contextvars

from nightscribe.audio.workers import Crashed
from nightscribe.errors import Reason, Rejected
from nightscribe.whisper.options import Options

__all__ = [
    "Engine",
    "Failure",
    "Job",
    "LoadedModel",
    "Request",
    "Transcript",
    "failure_of",
    "failures_of",
]

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Job:
    """One transcript that is wanted of a recording."""

    task: str  # transcribe or translate
    options: Options


@dataclass(frozen=True)
class Request:
    """A recording and the transcripts that are wanted of it."""

    recording_id: str
    audio: BinaryIO | str  # encoded bytes, or the path of a file
    jobs: tuple[Job, ...]

    @property
    def speech_only(self) -> bool:
        """Whether a job asks where somebody speaks."""
        return any(job.options.speech_only for job in self.jobs)


@dataclass(frozen=True)
class Transcript:
    """The result of a job.

    `segments` are Whisper's own: dictionaries with id, seek, start, end, text, tokens,
    temperature, avg_logprob, compression_ratio, no_speech_prob and, if asked for, words.
    """

    recording_id: str
    job: Job
    language: str
    language_probability: float | None  # None when the language was given
    text: str
    segments: list[dict[str, Any]]
    duration_s: float
    warning: str | None = None

    def as_dict(self) -> dict[str, Any]:
        """What `whisper.transcribe` returns: `text`, `segments` and `language`."""
        return {"text": self.text, "segments": self.segments, "language": self.language}


@dataclass(frozen=True)
class Failure:
    """A job that has no transcript, and why."""

    recording_id: str
    job: Job
    reason: Reason
    detail: str


@dataclass(frozen=True)
class LoadedModel:
    """A checkpoint on a device, ready to transcribe."""

    name: str  # as it was asked for
    model_id: str  # SHA-256 of the checkpoint file
    network: Any  # whisper.model.Whisper
    device: str
    precision: str  # float32, float16 or bfloat16

    @property
    def device_name(self) -> str:
        """The graphics card's name, or `cpu`."""
        import torch

        cuda = self.device.startswith("cuda")
        return torch.cuda.get_device_name(self.device) if cuda else "cpu"

    def peak_memory_bytes(self) -> int:
        """Peak memory: allocated on the device, or on a CPU the resident size of this process."""
        import torch

        if self.device.startswith("cuda"):
            return torch.cuda.max_memory_allocated(self.device)
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024  # kilobytes on Linux


class Engine(Protocol):
    """Turns requests into results. With `verbose` True it prints segments as they come."""

    def __call__(
        self, requests: Iterable[Request], model: LoadedModel, *, verbose: bool | None = None
    ) -> Iterator[Transcript | Failure]: ...


def failure_of(recording_id: str, job: Job, error: Exception) -> Failure:
    """The result of a job that Whisper raised an error for.

    Raises the error itself if memory or the device caused it: trying the batch again may help
    then, rejecting the recording does not.
    """
    import torch

    if isinstance(error, MemoryError | torch.OutOfMemoryError | torch.AcceleratorError):
        raise error
    with bound_contextvars(recording_id=recording_id):
        log.error("transcribing %s failed", recording_id, exc_info=error)
    detail = f"{type(error).__name__}: {error}"
    return Failure(recording_id, job, Reason.TRANSCRIPTION_FAILED, detail)


def failures_of(request: Request, rejected: Rejected) -> list[Failure]:
    """The results of all jobs of a recording that could not be decoded.

    A file that could not be read may be readable the next night. A file that crashes the decoder
    crashes it again, so that is a failure of another kind, which is not tried again.
    """
    crashed = isinstance(rejected, Crashed)
    reason = Reason.TRANSCRIPTION_FAILED if crashed else rejected.reason
    return [Failure(request.recording_id, job, reason, rejected.detail) for job in request.jobs]
