"""The seam between the pipeline and Whisper: many recordings in, finished transcripts out.

An engine pulls requests as it has room for them and yields results in the order in which
they finish. It reads a request's audio before it pulls the next one; after that the file
may be closed. One bad recording yields a `Failure` and never stops the others.
"""

from __future__ import annotations

import functools
import logging
import resource
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, BinaryIO, Protocol

from nightscribe.audio.workers import Crashed
from nightscribe.errors import ConfigurationError, Reason, Rejected
from nightscribe.whisper.models import Checkpoint, load, pick_device, pick_precision, resolve
from nightscribe.whisper.options import Options

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Job:
    """One transcript that is wanted of a recording."""

    task: str
    options: Options


@dataclass(frozen=True)
class Request:
    """A recording and the transcripts that are wanted of it."""

    recording_id: str
    audio: BinaryIO | str  # encoded bytes, or the path of a file
    jobs: tuple[Job, ...]


@dataclass(frozen=True)
class Transcript:
    """What one (recording, task, options) gave.

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


@dataclass(frozen=True)
class Failure:
    """A transcript that could not be made, and why."""

    recording_id: str
    job: Job
    reason: Reason
    detail: str


@dataclass(frozen=True)
class LoadedModel:
    """A checkpoint on a device, ready to transcribe."""

    checkpoint: Checkpoint
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
        """The most that was allocated on the device, or on a CPU resident in this process."""
        import torch

        if self.device.startswith("cuda"):
            return torch.cuda.max_memory_allocated(self.device)
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024  # kilobytes on Linux


class Engine(Protocol):
    """Turns requests into results. `verbose` True prints segments as they come."""

    def __call__(
        self, requests: Iterable[Request], model: LoadedModel, *, verbose: bool | None = None
    ) -> Iterator[Transcript | Failure]: ...


def load_model(
    name: str, device: str = "auto", model_dir: str | None = None, precision: str = "auto"
) -> LoadedModel:
    """Load a model by official name, path or `demo` onto a device.

    Raises `ModelError` if there is no such checkpoint, `ConfigurationError` for a device
    that this machine lacks, or a precision that the device lacks.
    """
    chosen = pick_device(device)
    computed = pick_precision(precision, chosen)
    checkpoint = resolve(name, model_dir)
    return LoadedModel(checkpoint, load(checkpoint, chosen), chosen, computed)


def engine_named(name: str, *, slots: int = 0) -> Engine:
    """The engine of that name: a function from requests and a model to results.

    `slots`: windows that the batched engine decodes side by side; 0 for what memory allows.
    """
    from nightscribe.whisper import batched, reference

    engines: Mapping[str, Engine] = {
        "batched": functools.partial(batched.transcribe, slots=slots),
        "reference": reference.transcribe,
    }
    if name not in engines:
        raise ConfigurationError(f"engine {name!r}: choose one of {', '.join(engines)}")
    return engines[name]


def failures_of(request: Request, rejected: Rejected) -> list[Failure]:
    """The outcome of all jobs of a recording that could not be decoded.

    What could not be read may be readable the next night. A file over which the decoder crashed
    will crash it again, so that is a failure of another kind, which is not tried again.
    """
    crashed = isinstance(rejected, Crashed)
    reason = Reason.TRANSCRIPTION_FAILED if crashed else rejected.reason
    return [Failure(request.recording_id, job, reason, rejected.detail) for job in request.jobs]


def indigestible(recording_id: str, job: Job, error: Exception) -> Failure:
    """The outcome for a recording that Whisper cannot digest, which must not stop the others.

    Raises the error itself where memory or the device are at fault: retrying the batch may help
    then, rejecting will not.
    """
    import torch

    if isinstance(error, MemoryError | torch.OutOfMemoryError | torch.AcceleratorError):
        raise error
    log.error("transcribing %s failed", recording_id, exc_info=error)
    detail = f"{type(error).__name__}: {error}"
    return Failure(recording_id, job, Reason.TRANSCRIPTION_FAILED, detail)


def versions() -> dict[str, str]:
    """Versions of what a transcript depends on."""
    from importlib.metadata import version

    import nightscribe

    return {
        "nightscribe": nightscribe.__version__,
        **{name: version(name) for name in ("openai-whisper", "torch", "av")},
    }
