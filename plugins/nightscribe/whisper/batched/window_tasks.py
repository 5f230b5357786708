"""Everything that a window's text depends on besides its audio, from the options."""

from __future__ import annotations

import zlib
from dataclasses import dataclass

from whisper.audio import CHUNK_LENGTH
from whisper.tokenizer import Tokenizer

from nightscribe.whisper.batched.model_shape import ModelShape
from nightscribe.whisper.batched.network_requests import DecodeWindow
from nightscribe.whisper.batched.token_rules import suppressed_tokens
from nightscribe.whisper.contract import Job
from nightscribe.whisper.options import Options

__all__ = ["SlotShape", "WindowTask", "slot_shape", "window_task"]


@dataclass(frozen=True)
class SlotShape:
    """Rows of a slot, and whether they are beams of one search or independent samples."""

    rows: int
    beam_search: bool


@dataclass(frozen=True)
class WindowTask:
    """How a window is decoded."""

    tokens: tuple[int, ...]  # the prompt and the start of the transcript
    sot_index: int  # place of <|startoftranscript|> in them
    temperature: float
    sample_limit: int  # tokens to sample at most
    suppressed: tuple[int, ...]
    with_timestamps: bool
    blank_allowed: bool
    max_first_timestamp: int  # index of the latest timestamp that may come first
    length_penalty: float | None
    candidates: int  # finished texts that end a beam search
    seed: int  # of the numbers that sampling draws


def slot_shape(options: Options, temperature: float) -> SlotShape:
    """Beams at temperature 0, samples above it, as in the reference."""
    if temperature == 0:
        beams = options.beam_size
        return SlotShape(beams or 1, beams is not None)
    return SlotShape(options.best_of or 1, False)


def window_task(
    request: DecodeWindow, job: Job, recording_id: str, shape: ModelShape
) -> WindowTask:
    """The task for a window of a recording.

    Raises `ValueError` if prompt and prefix are longer than the decoder's context.
    """
    options = job.options
    tokenizer = shape.tokenizer(request.language, job.task)
    timed = not options.without_timestamps
    prompt = request.prompt[-shape.prompt_limit :]
    before = [tokenizer.sot_prev, *prompt] if prompt else []
    start = tokenizer.sot_sequence if timed else tokenizer.sot_sequence_including_notimestamps
    tokens = (*before, *start, *_prefix(options, tokenizer, shape))
    if len(tokens) > shape.text_context:
        raise ValueError(
            f"prompt and prefix take {len(tokens)} tokens; {shape.text_context} can be read"
        )
    seed = f"{recording_id} {job.task} {request.window.seek} {request.temperature}"
    return WindowTask(
        tokens=tokens,
        sot_index=len(before),
        temperature=request.temperature,
        sample_limit=options.sample_len or shape.sample_limit,
        suppressed=suppressed_tokens(tokenizer, options.suppress_tokens, timed=timed),
        with_timestamps=timed,
        blank_allowed=not options.suppress_blank,
        max_first_timestamp=_max_first_timestamp(options, shape),
        length_penalty=options.length_penalty,
        candidates=round((options.beam_size or 1) * (options.patience or 1.0)),
        seed=zlib.crc32(seed.encode()),
    )


def _prefix(options: Options, tokenizer: Tokenizer, shape: ModelShape) -> list[int]:
    """Tokens that every window's text is made to start with. They are not part of the text."""
    if not options.prefix:
        return []
    tokens: list[int] = tokenizer.encode(" " + options.prefix.strip())
    if options.sample_len is None:
        return tokens
    return tokens[-(shape.sample_limit - options.sample_len) :]


def _max_first_timestamp(options: Options, shape: ModelShape) -> int:
    latest = options.max_initial_timestamp
    return round(latest / (CHUNK_LENGTH / shape.audio_context)) if latest else shape.audio_context
