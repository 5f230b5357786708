"""Silence around text that the network probably made up: found by its words, and skipped.

The rules and their constants are those of `whisper.transcribe` with
`hallucination_silence_threshold`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from whisper.audio import FRAMES_PER_SECOND, HOP_LENGTH, SAMPLE_RATE

from nightscribe.whisper.batched.segments import Segment
from nightscribe.whisper.batched.windows import Window
from nightscribe.whisper.batched.word_timestamps import end_of_speech

__all__ = ["FilteredSegments", "filter_hallucinations"]

_PUNCTUATION = "\"'“¿([{-\"'.。,，!！?？:：”)]}、"
_WORDS_CHECKED = 8  # of a segment
_IMPROBABLE = 0.15  # probability of a word
_SHORT_S = 0.133
_LONG_S = 2.0
_WINDOW_EDGE_S = 2.0  # text this close to an edge of the window counts as next to silence


@dataclass(frozen=True)
class FilteredSegments:
    """The segments that are kept, and where the next window starts."""

    segments: list[Segment] | None  # None: skip the window, it starts with silence
    next_seek: int  # frame


def filter_hallucinations(
    segments: list[Segment],
    window: Window,
    next_seek: int,
    *,
    open_ended: bool,
    threshold: float,
    last_speech_end: float,
    frames: int,
) -> FilteredSegments:
    """Drop a window's segments from the first that looks made up and has silence around it.

    Args:
        segments: with their words.
        next_seek: frame at which the next window would start.
        open_ended: whether speech may continue after the last segment.
        threshold: silence in seconds from which on it is skipped.
        last_speech_end: end of the last word before this window, in seconds.
        frames: length of the recording.
    """
    last_end = end_of_speech(segments)
    if open_ended and last_end is not None and last_end > window.start_s:
        silence = window.padded_end_s - last_end
        next_seek = _frame(last_end) if silence > threshold else window.seek + window.size
    first = _first_with_words(segments)
    if first is not None and _is_anomalous(first):
        silence = first["start"] - window.start_s
        if silence > threshold:
            return FilteredSegments(None, window.seek + _frame(silence))
    for number, segment in enumerate(segments):
        if not segment["words"]:
            continue
        following = _first_with_words(segments[number + 1 :])
        if _is_anomalous(segment) and _in_silence(
            segment, following, window, threshold, last_speech_end
        ):
            next_seek = _frame(max(window.start_s + 1, segment["start"]))
            if float(frames * HOP_LENGTH / SAMPLE_RATE) - segment["end"] < threshold:
                next_seek = frames
            return FilteredSegments(segments[:number], next_seek)
        last_speech_end = segment["end"]
    return FilteredSegments(segments, next_seek)


def _frame(seconds: float) -> int:
    frame: int = round(seconds * FRAMES_PER_SECOND)
    return frame


def _first_with_words(segments: Sequence[Segment]) -> Segment | None:
    return next((segment for segment in segments if segment["words"]), None)


def _in_silence(
    segment: Segment,
    following: Segment | None,
    window: Window,
    threshold: float,
    last_speech_end: float,
) -> bool:
    """Whether there is silence both before and after a segment, or an edge of the window."""
    next_start = following["words"][0]["start"] if following else window.start_s + window.content_s
    silence_before = (
        segment["start"] - last_speech_end > threshold
        or segment["start"] < threshold
        or segment["start"] - window.start_s < _WINDOW_EDGE_S
    )
    silence_after = (
        next_start - segment["end"] > threshold
        or (following is not None and _is_anomalous(following))
        or window.padded_end_s - segment["end"] < _WINDOW_EDGE_S
    )
    return silence_before and silence_after


def _is_anomalous(segment: Segment) -> bool:
    """Whether a segment's words look made up: improbable, very short or very long."""
    words = [word for word in segment["words"] if word["word"] not in _PUNCTUATION]
    words = words[:_WORDS_CHECKED]
    score = sum(_anomaly_score(word) for word in words)
    return score >= 3 or score + 0.01 >= len(words)


def _anomaly_score(word: dict[str, Any]) -> float:
    length = word["end"] - word["start"]
    score = 1.0 if word.get("probability", 0.0) < _IMPROBABLE else 0.0
    if length < _SHORT_S:
        score += (_SHORT_S - length) * 15
    if length > _LONG_S:
        score += length - _LONG_S
    return score
