"""Words with times: from an alignment of tokens to the words of segments.

The rules are those of `whisper.timing`: punctuation joins its neighbour, and words that seem too
long at the edge of a sentence or a pause are cut, since the attention that times them lingers.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from typing import Any

import numpy as np
from whisper.audio import HOP_LENGTH, SAMPLE_RATE

_SENTENCE_ENDS = ".。!！?？"
_PUNCTUATION = "\"'“¿([{-\"'.。,，!！?？:：”)]}、"
_LONGEST_MEDIAN = 0.7  # seconds
_LOOKED_AT = 8  # words, to tell whether a segment was made up


@dataclass
class WordTiming:
    """A word, its tokens, and when it is said, in seconds from the window's start."""

    word: str
    tokens: list[int]
    start: float
    end: float
    probability: float


def place_words(
    segments: list[dict[str, Any]],
    tokens_by_segment: list[list[int]],
    timings: list[WordTiming],
    *,
    prepended: str,
    appended: str,
    spoken_until: float,
) -> None:
    """Give each segment its `words`, and let them move its start and end.

    `segments` of one window, `tokens_by_segment` the text tokens of each; `spoken_until` is the
    end of the last word before, in seconds of the recording.
    """
    lengths = np.array([timing.end - timing.start for timing in timings])
    lengths = lengths[lengths.nonzero()]
    typical = min(_LONGEST_MEDIAN, float(np.median(lengths)) if len(lengths) else 0.0)
    longest = typical * 2
    if len(lengths):
        _shorten_at_sentence_ends(timings, longest)
    _join_punctuation(timings, prepended, appended)
    offset = segments[0]["seek"] * HOP_LENGTH / SAMPLE_RATE
    position = 0
    for segment, tokens in zip(segments, tokens_by_segment, strict=True):
        taken = 0
        words: list[dict[str, Any]] = []
        while position < len(timings) and taken < len(tokens):
            timing = timings[position]
            if timing.word:
                words.append(
                    {
                        "word": timing.word,
                        "start": round(offset + timing.start, 2),
                        "end": round(offset + timing.end, 2),
                        "probability": timing.probability,
                    }
                )
            taken += len(timing.tokens)
            position += 1
        if words:
            _shorten_after_pause(words, spoken_until, typical, longest)
            _fit(segment, words, typical)
            spoken_until = segment["end"]
        segment["words"] = words


def _shorten_at_sentence_ends(timings: list[WordTiming], longest: float) -> None:
    for before, timing in itertools.pairwise(timings):
        if timing.end - timing.start > longest:
            if timing.word in _SENTENCE_ENDS:
                timing.end = timing.start + longest
            elif before.word in _SENTENCE_ENDS:
                timing.start = timing.end - longest


def _join_punctuation(timings: list[WordTiming], prepended: str, appended: str) -> None:
    """Join opening marks to the word behind and closing ones to the word before.

    A timing whose word went elsewhere stays, empty, so that tokens can be counted off.
    """
    target = len(timings) - 1
    for index in range(len(timings) - 2, -1, -1):
        mark, word = timings[index], timings[target]
        if mark.word.startswith(" ") and mark.word.strip() in prepended:
            word.word, word.tokens = mark.word + word.word, mark.tokens + word.tokens
            mark.word, mark.tokens = "", []
        else:
            target = index
    target = 0
    for index in range(1, len(timings)):
        word, mark = timings[target], timings[index]
        if not word.word.endswith(" ") and mark.word in appended:
            word.word, word.tokens = word.word + mark.word, word.tokens + mark.tokens
            mark.word, mark.tokens = "", []
        else:
            target = index


def _shorten_after_pause(
    words: list[dict[str, Any]], spoken_until: float, typical: float, longest: float
) -> None:
    first = words[0]
    second = words[1] if len(words) > 1 else None
    if not first["end"] - spoken_until > typical * 4:
        return
    drawn_out = first["end"] - first["start"] > longest
    if not drawn_out and (second is None or not second["end"] - first["start"] > longest * 2):
        return
    if second is not None and second["end"] - second["start"] > longest:
        boundary = max(second["end"] / 2, second["end"] - longest)
        first["end"] = second["start"] = boundary
    first["start"] = max(0, first["end"] - longest)


def _fit(segment: dict[str, Any], words: list[dict[str, Any]], typical: float) -> None:
    """Where a segment and its outer words disagree widely the segment is right, else the words."""
    first, last = words[0], words[-1]
    if segment["start"] < first["end"] and segment["start"] - 0.5 > first["start"]:
        first["start"] = max(0, min(first["end"] - typical, segment["start"]))
    else:
        segment["start"] = first["start"]
    if segment["end"] > last["start"] and segment["end"] + 0.5 < last["end"]:
        last["end"] = max(last["start"] + typical, segment["end"])
    else:
        segment["end"] = last["end"]


def end_of(segments: list[dict[str, Any]]) -> float | None:
    """When the last word ends, or the last segment if there is no word."""
    for segment in reversed(segments):
        if segment["words"]:
            end: float = segment["words"][-1]["end"]
            return end
    return segments[-1]["end"] if segments else None


def suspicious(segment: dict[str, Any] | None) -> bool:
    """Whether a segment's words look made up: improbable, very short or very long."""
    if segment is None or not segment["words"]:
        return False
    words = [word for word in segment["words"] if word["word"] not in _PUNCTUATION][:_LOOKED_AT]
    score = sum(_strangeness(word) for word in words)
    return score >= 3 or score + 0.01 >= len(words)


def _strangeness(word: dict[str, Any]) -> float:
    length = word["end"] - word["start"]
    score = 1.0 if word.get("probability", 0.0) < 0.15 else 0.0
    if length < 0.133:
        score += (0.133 - length) * 15
    if length > 2.0:
        score += length - 2.0
    return score
