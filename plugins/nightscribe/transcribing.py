"""Transcribe audio from Python, without a lake: files, bytes or arrays in, transcripts out."""

from __future__ import annotations

import codecs
import io
import os
from collections import defaultdict
from collections.abc import Iterable, Iterator
from contextlib import AbstractContextManager, ExitStack, nullcontext
from typing import Any, BinaryIO, TypeAlias, cast

import numpy as np

from nightscribe.audio.samples import FULL_SCALE, SAMPLE_RATE
from nightscribe.audio.wav import wav_content
from nightscribe.cli.inputs import opened
from nightscribe.errors import ConfigurationError, Reason, Rejected
from nightscribe.recordings import content_id
from nightscribe.settings import ArchiveLimits, Settings
from nightscribe.stages.order import checked_options
from nightscribe.whisper.checkpoints import model_id_of
from nightscribe.whisper.contract import Failure, Job, LoadedModel, Request, Transcript
from nightscribe.whisper.engines import engine_named, model_loader
from nightscribe.whisper.options import TASKS

__all__ = ["Audio", "transcribe"]

Audio: TypeAlias = "str | os.PathLike[str] | bytes | BinaryIO | np.ndarray[Any, Any]"
"""A path or an http(s) URL, the bytes of a file, an open file, or samples of shape (n,)."""

_LOUDEST = 2.0
"""Largest sample that is taken for a float in [-1, 1): resampling may exceed 1 a little."""

_RATES = range(1_000, 1_000_000)

_MOST_BYTES = 2**32 - 1024  # of the samples in a WAV file, whose header has 32 bits for them


def transcribe(
    audio: Audio | Iterable[Audio],
    model: str | LoadedModel | None = None,
    *,
    task: str = "transcribe",
    language: str = "auto",
    sample_rate: int = SAMPLE_RATE,
    settings: Settings | None = None,
    **options: Any,
) -> Iterator[Transcript | Failure]:
    """Transcribe audio; yields one result for each input, in their order.

    Several inputs are decoded side by side, so give them in one call. What can be iterated is
    drawn as there is room, so there may be any number of them.

    Args:
        audio: one input or several, see `Audio`. Samples are 16-bit integers, or floats in
            [-1, 1), which are rounded to 16 bits as in a file
        model: official name, path of a checkpoint, `demo`, or a model that `load_model` has
            loaded, which saves loading it again; default: the settings' model
        task: `transcribe`, or `translate` (into English)
        language: `auto` (Whisper detects it), a code or an English name
        sample_rate: of arrays, in Hz; files state theirs
        settings: device, precision, engine, slots and limits; default: those of the environment.
            A loaded model keeps its device and precision. From its first use on, its weights belong
            to the batched engine
        options: Whisper's decoding options, such as `word_timestamps=True` or `beam_size=5`

    Yields:
        a `Transcript` with `text`, `segments`, `language` and `duration_s`, or a `Failure` with
        `reason` and `detail` for an input that cannot be transcribed. The failure of one that
        cannot be opened is yielded with the next transcript, or at the end

    Raises:
        ConfigurationError: the task, the language, an option or the kind of an input is wrong.
        ModelError: there is no such checkpoint.

    >>> from nightscribe import transcribe
    >>> [result] = transcribe("samples/archive/english/en-01.flac", "demo")
    >>> result.text
    ' The doctor is looking for a red window at the station.'
    """
    settings = settings or Settings()
    if task not in TASKS:
        raise ConfigurationError(f"task {task!r}: choose {' or '.join(TASKS)}")
    if language == "manifest":
        raise ConfigurationError("language 'manifest': only archives have one; choose auto")
    if sample_rate not in _RATES:
        raise ConfigurationError(
            f"sample_rate {sample_rate}: must be a whole number of Hz from {_RATES.start} to "
            f"{_RATES.stop - 1}"
        )
    name = model.name if isinstance(model, LoadedModel) else model or settings.model
    loaded = model if isinstance(model, LoadedModel) else None
    model_id = loaded.model_id if loaded else model_id_of(name, settings.model_dir)
    checked = checked_options(name, model_id, (task,), language, options)
    loaded = loaded or model_loader(settings)(name)
    if mistake := checked.mistake_for(loaded.network.dims.n_vocab):
        raise ConfigurationError(f"option {mistake}")
    inputs = cast("Iterable[Audio]", audio if _are_several(audio) else [audio])
    engine = engine_named(settings.engine, slots=settings.slots)
    reading = _Reading(inputs, Job(task, checked), sample_rate, settings.limits)
    return reading.in_order(engine(reading.requests(), loaded))


class _Reading:
    """Inputs that an engine draws as requests, and the results put back into their order."""

    def __init__(
        self, inputs: Iterable[Audio], job: Job, sample_rate: int, limits: ArchiveLimits
    ) -> None:
        self._inputs, self._job = inputs, job
        self._sample_rate, self._limits = sample_rate, limits
        self._waiting: dict[str, list[int]] = defaultdict(list)  # two may have the same content
        self._finished: dict[int, Transcript | Failure] = {}

    def requests(self) -> Iterator[Request]:
        """A request for each input that can be read; each is open until the next is drawn."""
        for position, audio in enumerate(self._inputs):
            with ExitStack() as stack:
                try:
                    file = stack.enter_context(self._open(audio))
                    recording_id = content_id(file)
                except Rejected as rejected:
                    self._fail(position, rejected.reason, rejected.detail)
                    continue
                except OSError as error:
                    self._fail(position, Reason.UNREADABLE, error.strerror or str(error))
                    continue
                except ValueError as error:  # a path with a zero byte, or a file that is closed
                    self._fail(position, Reason.UNREADABLE, str(error))
                    continue
                self._waiting[recording_id].append(position)
                yield Request(recording_id, file, (self._job,))

    def in_order(self, results: Iterator[Transcript | Failure]) -> Iterator[Transcript | Failure]:
        """The results, each as soon as it and those before it have finished."""
        following = 0
        for result in results:
            self._finished[self._waiting[result.recording_id].pop(0)] = result
            while following in self._finished:
                yield self._finished.pop(following)
                following += 1
        yield from (result for _, result in sorted(self._finished.items()))

    def _fail(self, position: int, reason: Reason, detail: str) -> None:
        self._finished[position] = Failure("", self._job, reason, detail)

    def _open(self, audio: Audio) -> AbstractContextManager[BinaryIO]:
        """An input as a seekable file, at its start."""
        if isinstance(audio, str | os.PathLike):
            if (path := os.fsdecode(audio)) == "-":
                raise ConfigurationError("audio '-': give sys.stdin.buffer.read(), or a path")
            return opened(path, self._limits)
        if isinstance(audio, bytes | bytearray | memoryview):
            return io.BytesIO(audio)
        if hasattr(audio, "__array__"):
            return _wave_file(np.asarray(audio), self._sample_rate)
        if hasattr(audio, "read"):
            return nullcontext(_from_its_start(audio))
        raise ConfigurationError(
            f"audio of type {type(audio).__name__}: give a path, a URL, bytes, a file that is open "
            "for reading bytes, or an array of samples"
        )


def _are_several(audio: object) -> bool:
    """Whether this gives inputs. A text, bytes, an open file and samples iterate, but are one."""
    if hasattr(audio, "__array__"):
        return np.asarray(audio).dtype.kind in "OUST"  # of paths, such as a column of a data frame
    one = (str, os.PathLike, bytes, bytearray, memoryview)
    return isinstance(audio, Iterable) and not (isinstance(audio, one) or hasattr(audio, "read"))


def _from_its_start(file: Any) -> BinaryIO:
    text = isinstance(file, io.TextIOBase | codecs.StreamReaderWriter)
    if text or not (hasattr(file, "seekable") and file.seekable()):
        raise ConfigurationError(f"{file!r}: open it for bytes and for seeking, or give its bytes")
    file.seek(0)
    return cast(BinaryIO, file)


def _wave_file(samples: np.ndarray[Any, Any], sample_rate: int) -> io.BytesIO:
    """The samples as a WAV file of 16 bits, rounded as FFmpeg does."""
    shape = f"samples of shape {samples.shape} and type {samples.dtype}"
    if samples.ndim != 1:
        raise ConfigurationError(f"{shape}: give one channel, an array of shape (n,)")
    if not samples.size:
        raise Rejected(Reason.EMPTY_FILE, "the array has no samples")
    if samples.dtype.kind != "i" or samples.dtype.itemsize != 2:
        if samples.dtype.kind != "f":
            raise ConfigurationError(f"{shape}: give floats in [-1, 1), or 16-bit integers")
        if not np.isfinite(samples).all():
            raise ConfigurationError(f"{shape}: some are no numbers or infinite")
        if np.abs(samples).max() > _LOUDEST:
            raise ConfigurationError(
                f"{shape}, up to {np.abs(samples).max():g}: floats must be in [-1, 1); divide "
                f"those of 16 bits by {FULL_SCALE:g}"
            )
        scaled = np.rint(samples.astype(np.float64) * FULL_SCALE)
        samples = scaled.clip(-FULL_SCALE, FULL_SCALE - 1).astype(np.int16)
    if samples.nbytes > _MOST_BYTES:
        raise ConfigurationError(f"{shape}: more than a WAV file may have; give them in parts")
    return io.BytesIO(wav_content(samples, sample_rate))
