"""The reference engine: openai-whisper itself, one recording after the other."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np

from nightscribe.audio.operations import Decoding
from nightscribe.audio.samples import SAMPLE_RATE, as_float
from nightscribe.audio.speech import Clips, speech_in
from nightscribe.audio.stored import Samples
from nightscribe.audio.workers import Workers
from nightscribe.errors import ConfigurationError, Reason, Rejected
from nightscribe.languages import LANGUAGES
from nightscribe.whisper.contract import (
    Failure,
    Job,
    LoadedModel,
    Request,
    Transcript,
    failure_of,
    failures_of,
)

__all__ = ["clips_within", "detect_language", "transcribe_one_by_one"]


def transcribe_one_by_one(
    requests: Iterable[Request], model: LoadedModel, *, verbose: bool | None = None
) -> Iterator[Transcript | Failure]:
    """Transcribe every request's jobs with `whisper.transcribe`, in order.

    `verbose` is passed to whisper: True prints each segment as it comes, None prints nothing.

    Raises:
        ConfigurationError: the precision is bfloat16, which openai-whisper does not support.
    """
    if model.precision == "bfloat16":
        raise ConfigurationError(
            "the engine 'reference' is openai-whisper, which has no bfloat16: choose the engine "
            "'batched', or the precision auto"
        )
    with Workers(1, Decoding()) as workers:
        for request in requests:
            decoded = _decode(request, workers)
            if isinstance(decoded, Rejected):
                yield from failures_of(request, decoded)
            else:
                yield from _transcribe_jobs(request, decoded, model, verbose)


def _decode(request: Request, workers: Workers[Samples]) -> Samples | Rejected:
    try:
        workers.submit(request.audio)
    except OSError as error:
        return Rejected(Reason.UNREADABLE, str(error))
    [(_, outcome)] = workers.finished(wait_for_one=True)
    return outcome


def _transcribe_jobs(
    request: Request, decoded: Samples, model: LoadedModel, verbose: bool | None
) -> Iterator[Transcript | Failure]:
    samples = as_float(decoded.samples[:])
    speech = speech_in(decoded.samples) if request.speech_only else None
    # One detection serves both tasks of a recording.
    detected: tuple[str, float] | None = None
    for job in request.jobs:
        try:
            if job.options.language is None and detected is None:
                detected = detect_language(samples, model, speech[0][0] if speech else 0.0)
                if verbose:
                    print(f"Detected language: {LANGUAGES[detected[0]].title()}", flush=True)
            clips = speech if job.options.speech_only else None
            result = _transcribe_one(request, job, samples, model, detected, verbose, clips)
            yield dataclasses.replace(result, warning=decoded.warning)
        except Exception as error:
            yield failure_of(request.recording_id, job, error)


def detect_language(
    samples: np.ndarray, model: LoadedModel, start_s: float = 0.0
) -> tuple[str, float]:
    """The language of 30 s and its probability; of the first, as `whisper.transcribe` does.

    `samples`: float32, shape (n,), 16 kHz. English-only models return English, with probability 1.
    """
    import torch
    from whisper.audio import (
        FRAMES_PER_SECOND,
        N_FRAMES,
        N_SAMPLES,
        log_mel_spectrogram,
        pad_or_trim,
    )

    network = model.network
    if not network.is_multilingual:
        return "en", 1.0
    # The log-mel is clamped by the maximum of the whole recording, so it is trimmed afterwards.
    mel = log_mel_spectrogram(samples, network.dims.n_mels, padding=N_SAMPLES)
    mel = mel[:, round(start_s * FRAMES_PER_SECOND) :]
    dtype = torch.float16 if model.precision == "float16" else torch.float32
    _, probabilities = network.detect_language(pad_or_trim(mel, N_FRAMES).to(model.device, dtype))
    language = max(probabilities, key=probabilities.get)
    return language, float(probabilities[language])


def clips_within(timestamps: str, samples: int) -> str | list[float]:
    """The clips of a recording as `whisper.transcribe` takes them, ended by the recording's end.

    `timestamps`: seconds, as in "10,20,35"; `samples`: length of the recording at 16 kHz. The
    result is the same text if every clip ends within the recording, else a list of seconds.

    whisper.transcribe never finishes a clip that ends after the recording: beyond the end a
    window has no frames, and the position stays. It skips a clip that does not start before its
    end, so only the ends are moved, as in `nightscribe.whisper.batched.longform.clip_bounds`.

    >>> clips_within("1,2,5", 6 * 16_000)
    '1,2,5'
    >>> clips_within("5,3600,3600,3700", 6 * 16_000)
    [5.0, 6.0, 3600.0, 6.0]
    """
    from whisper.audio import FRAMES_PER_SECOND, HOP_LENGTH

    times = [float(time) for time in timestamps.split(",")] if timestamps else []
    frames = samples // HOP_LENGTH  # whisper's `content_frames`
    ended = [
        min(time, frames / FRAMES_PER_SECOND) if position % 2 else time
        for position, time in enumerate(times)
    ]
    return timestamps if ended == times else ended


def _transcribe_one(
    request: Request,
    job: Job,
    samples: np.ndarray,
    model: LoadedModel,
    detected: tuple[str, float] | None,
    verbose: bool | None,
    speech: Clips | None,
) -> Transcript:
    import torch
    import whisper

    # Temperatures above 0 sample. With this seed, a recording gives the same text in any batch.
    torch.manual_seed(int(request.recording_id[:15] or "0", 16))
    given = dataclasses.asdict(job.options)
    given["clip_timestamps"] = clips_within(job.options.clip_timestamps, len(samples))
    if speech is not None:
        given["clip_timestamps"] = [time for stretch in speech for time in stretch]
    del given["speech_only"]
    language = given.pop("language")
    if language is None and detected is not None:
        language = detected[0]
    if speech == ():  # without clips, whisper.transcribe would take the whole recording
        result: dict[str, Any] = {"language": language, "text": "", "segments": []}
    else:
        result = whisper.transcribe(
            model.network,
            samples,
            verbose=verbose,
            task=job.task,
            language=language,
            fp16=model.precision == "float16",
            **given,
        )
    return Transcript(
        recording_id=request.recording_id,
        job=job,
        language=result["language"],
        language_probability=detected[1] if job.options.language is None and detected else None,
        text=result["text"],
        segments=result["segments"],
        duration_s=len(samples) / SAMPLE_RATE,
    )
