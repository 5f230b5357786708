"""Segments: a window's tokens, cut at the timestamps among them."""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from typing import Any, TypeAlias

from whisper.tokenizer import Tokenizer

from nightscribe.whisper.batched.model_shape import ModelShape
from nightscribe.whisper.batched.network_requests import DecodedWindow
from nightscribe.whisper.batched.windows import Window

__all__ = ["Segment", "WindowSegments", "cut_segments"]

Segment: TypeAlias = dict[str, Any]
"""A segment as `whisper.transcribe` returns it; `id` and `words` are added later."""


@dataclass(frozen=True)
class WindowSegments:
    """The segments of a window, and where the next window starts."""

    segments: list[Segment]
    next_seek: int  # frame
    open_ended: bool  # no single timestamp ends the text: speech may continue after it


def cut_segments(
    decoded: DecodedWindow, window: Window, tokenizer: Tokenizer, shape: ModelShape
) -> WindowSegments:
    """Cut a window's tokens between two consecutive timestamps, as `whisper.transcribe` does.

    If a single timestamp ends the tokens, the speech ends with the last segment. Otherwise the
    part after the last pair of timestamps is unfinished: it is dropped, and the next window
    starts where that part does.
    """
    tokens, zero = decoded.tokens, tokenizer.timestamp_begin
    is_timestamp = [token >= zero for token in tokens]
    closed = is_timestamp[-2:] == [False, True]
    bounds = [i for i in range(1, len(tokens)) if is_timestamp[i - 1] and is_timestamp[i]]
    start = window.start_s
    if not bounds:
        length = _last_timestamp(tokens, zero) * shape.seconds_per_position or window.content_s
        whole = _segment(decoded, tokens, window, start, start + length, tokenizer)
        return WindowSegments([whole], window.seek + window.size, not closed)
    if closed:
        bounds.append(len(tokens))
    segments = [
        _segment(
            decoded,
            tokens[first:end],
            window,
            start + (tokens[first] - zero) * shape.seconds_per_position,
            start + (tokens[end - 1] - zero) * shape.seconds_per_position,
            tokenizer,
        )
        for first, end in itertools.pairwise([0, *bounds])
    ]
    if closed:
        return WindowSegments(segments, window.seek + window.size, False)
    finished = (tokens[bounds[-1] - 1] - zero) * shape.frames_per_position
    return WindowSegments(segments, window.seek + finished, True)


def _last_timestamp(tokens: list[int], zero: int) -> int:
    """Index of the last timestamp, in positions of the encoder; 0 if there is none."""
    return next((token - zero for token in reversed(tokens) if token >= zero), 0)


def _segment(
    decoded: DecodedWindow,
    tokens: list[int],
    window: Window,
    start: float,
    end: float,
    tokenizer: Tokenizer,
) -> Segment:
    return {
        "seek": window.seek,
        "start": start,
        "end": end,
        "text": tokenizer.decode([token for token in tokens if token < tokenizer.eot]),
        "tokens": tokens,
        "temperature": decoded.temperature,
        "avg_logprob": decoded.avg_logprob,
        "compression_ratio": decoded.compression_ratio,
        "no_speech_prob": decoded.no_speech_prob,
    }
