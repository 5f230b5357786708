"""Words with times: the timed tokens of a window, assigned to the words of its segments.

The rules are those of `whisper.timing`. Punctuation joins the word next to it. Words at the edge
of a sentence or a pause that seem too long are shortened, because the attention that times them
stays on them too long.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from typing import Any

import numpy as np
from whisper.audio import HOP_LENGTH, SAMPLE_RATE

__all__ = ["WordTiming", "end_of_speech", "place_words"]

_SENTENCE_ENDS = ".。!！?？"
_MAX_MEDIAN_S = 0.7


@dataclass
class WordTiming:
    """A word with its tokens; times in seconds from the start of the window."""

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
    last_speech_end: float,
) -> None:
    """Add `words` to each segment; the words may move a segment's start and end.

    Args:
        segments: of one window.
        tokens_by_segment: text tokens of each segment.
        timings: of all words of the window. They are changed.
        prepended: punctuation that belongs to the word after it.
        appended: punctuation that belongs to the word before it.
        last_speech_end: end of the last word before the window, in seconds of the recording.
    """
    lengths = np.array([timing.end - timing.start for timing in timings])
    lengths = lengths[lengths.nonzero()]
    median = min(_MAX_MEDIAN_S, float(np.median(lengths)) if len(lengths) else 0.0)
    max_length = median * 2
    if len(lengths):
        _shorten_at_sentence_ends(timings, max_length)
    _join_punctuation(timings, prepended, appended)
    offset = segments[0]["seek"] * HOP_LENGTH / SAMPLE_RATE
    position = 0
    for segment, tokens in zip(segments, tokens_by_segment, strict=True):
        used_tokens = 0
        words: list[dict[str, Any]] = []
        while position < len(timings) and used_tokens < len(tokens):
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
            used_tokens += len(timing.tokens)
            position += 1
        if words:
            _shorten_after_pause(words, last_speech_end, median, max_length)
            _reconcile_edges(segment, words, median)
            last_speech_end = segment["end"]
        segment["words"] = words


def end_of_speech(segments: list[dict[str, Any]]) -> float | None:
    """End of the last word, or of the last segment if there is no word; None without segments."""
    for segment in reversed(segments):
        if segment["words"]:
            end: float = segment["words"][-1]["end"]
            return end
    return segments[-1]["end"] if segments else None


def _shorten_at_sentence_ends(timings: list[WordTiming], max_length: float) -> None:
    for before, timing in itertools.pairwise(timings):
        if timing.end - timing.start > max_length:
            if timing.word in _SENTENCE_ENDS:
                timing.end = timing.start + max_length
            elif before.word in _SENTENCE_ENDS:
                timing.start = timing.end - max_length


def _join_punctuation(timings: list[WordTiming], prepended: str, appended: str) -> None:
    """Join opening marks to the word after them, and closing marks to the word before them.

    The timing of a joined mark stays, with neither word nor tokens, so that positions are kept.
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
    words: list[dict[str, Any]], last_speech_end: float, median: float, max_length: float
) -> None:
    """Shorten the first word, and perhaps the second, if they follow a long pause."""
    first = words[0]
    second = words[1] if len(words) > 1 else None
    if not first["end"] - last_speech_end > median * 4:
        return
    too_long = first["end"] - first["start"] > max_length
    if not too_long and (second is None or not second["end"] - first["start"] > max_length * 2):
        return
    if second is not None and second["end"] - second["start"] > max_length:
        boundary = max(second["end"] / 2, second["end"] - max_length)
        first["end"] = second["start"] = boundary
    first["start"] = max(0, first["end"] - max_length)


def _reconcile_edges(segment: dict[str, Any], words: list[dict[str, Any]], median: float) -> None:
    """Make a segment and its first and last word start and end together.

    If they differ by more than half a second, the segment's time is taken, else the word's.
    """
    first, last = words[0], words[-1]
    if segment["start"] < first["end"] and segment["start"] - 0.5 > first["start"]:
        first["start"] = max(0, min(first["end"] - median, segment["start"]))
    else:
        segment["start"] = first["start"]
    if segment["end"] > last["start"] and segment["end"] + 0.5 < last["end"]:
        last["end"] = max(last["start"] + median, segment["end"])
    else:
        segment["end"] = last["end"]
