"""Whisper's long-form algorithm for one recording, as a generator.

Windows of 30 s follow one another: where a window starts, and what it is prompted with, depends
on what was heard in those before. The generator holds that thread. Whenever it needs the network
it yields what it wants (`Detect`, `Decode`, `Align`) and is sent the answer, so somebody else may
gather the wishes of many recordings and answer them together. What it does with the answers is
what `whisper.transcribe` does, step by step; the order of arithmetic is kept, so that times come
out the same to the last digit.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Generator
from dataclasses import dataclass
from typing import Any, TypeAlias

from whisper.audio import FRAMES_PER_SECOND, HOP_LENGTH, N_FRAMES, SAMPLE_RATE
from whisper.tokenizer import Tokenizer, get_tokenizer

from nightscribe.whisper.batched.word_timestamps import WordTiming, end_of, place_words, suspicious
from nightscribe.whisper.options import Options

Segment: TypeAlias = dict[str, Any]


@dataclass(frozen=True)
class Detect:
    """Wanted: the language of the first 30 s. Answered by (language code, probability)."""


@dataclass(frozen=True)
class Decode:
    """Wanted: what is said in a window. Answered by `Decoded`."""

    seek: int  # first frame of the window, 100 a second
    size: int  # frames of content; the rest of the window is padding
    prompt: tuple[int, ...]
    temperature: float
    language: str


@dataclass(frozen=True)
class Decoded:
    """What decoding a window once, at one temperature, gave."""

    tokens: list[int]  # without the end of the text
    temperature: float
    avg_logprob: float
    compression_ratio: float
    no_speech_prob: float


@dataclass(frozen=True)
class Align:
    """Wanted: when the words of a window are said. Answered by a list of `WordTiming`."""

    seek: int
    size: int
    text_tokens: tuple[int, ...]
    language: str


Wish: TypeAlias = Detect | Decode | Align


@dataclass(frozen=True)
class Text:
    """The outcome: what `whisper.transcribe` returns, and how sure the language is."""

    language: str
    language_probability: float | None
    text: str
    segments: list[Segment]


@dataclass(frozen=True)
class Shape:
    """What the algorithm needs to know of a network."""

    multilingual: bool
    languages: int
    audio_context: int  # positions of the encoder: 1500
    text_context: int  # tokens of the decoder: 448

    def tokenizer(self, language: str, task: str) -> Tokenizer:
        """The tokenizer of the network, set to a language and task."""
        return get_tokenizer(
            self.multilingual, num_languages=self.languages, language=language, task=task
        )


def transcribe_recording(
    frames: int,
    task: str,
    options: Options,
    shape: Shape,
    tell: Callable[[list[Segment]], None] | None = None,
) -> Generator[Wish, Any, Text]:
    """Transcribe a recording of so many frames; `tell` hears each window's segments."""
    language, probability = options.language, None
    if language is None:
        language, probability = (yield Detect()) if shape.multilingual else ("en", 1.0)
    reading = _Reading(frames, language, task, options, shape, tell)
    for first, last in clips(options.clip_timestamps, frames):
        yield from reading.clip(first, last)
    return Text(language, probability, reading.text(), reading.segments)


def clips(timestamps: str, frames: int) -> list[tuple[int, int]]:
    """Pairs of frames between which to listen, from seconds as in "10,20,35".

    An end behind the recording's end is moved there (the reference would not come to an end).
    """
    points = [round(float(time) * FRAMES_PER_SECOND) for time in timestamps.split(",") if time]
    points = points or [0]
    if len(points) % 2:
        points.append(frames)
    return [
        (first, min(last, frames)) for first, last in zip(points[::2], points[1::2], strict=True)
    ]


class _Reading:
    """The state between the windows of one recording."""

    def __init__(
        self,
        frames: int,
        language: str,
        task: str,
        options: Options,
        shape: Shape,
        tell: Callable[[list[Segment]], None] | None,
    ) -> None:
        self.frames = frames
        self.language = language
        self.options = options
        self.segments: list[Segment] = []
        self._tell = tell
        self._tokenizer = shape.tokenizer(language, task)
        self._frames_a_position = N_FRAMES // shape.audio_context
        self._seconds_a_position = self._frames_a_position * HOP_LENGTH / SAMPLE_RATE
        self._initial = (
            []
            if options.initial_prompt is None
            else self._tokenizer.encode(" " + options.initial_prompt.strip())
        )
        self._room = shape.text_context // 2 - 1 - len(self._initial)
        self._tokens = list(self._initial)  # of all windows so far
        self._prompt_from = 0
        self._spoken_until = 0.0  # seconds; only word timestamps move it
        self._seek = 0

    def text(self) -> str:
        text: str = self._tokenizer.decode(self._tokens[len(self._initial) :])
        return text

    def clip(self, first: int, last: int) -> Generator[Wish, Any, None]:
        """Read from one frame to another, window by window."""
        self._seek = first
        while (seek := max(self._seek, first)) < last:
            size = min(N_FRAMES, self.frames - seek, last - seek)
            heard = yield from self._decode(seek, size)
            if self._is_silence(heard):
                self._seek = seek + size
                continue
            segments, self._seek, open_ended = self._cut(heard, seek, size)
            if self.options.word_timestamps:
                keep = yield from self._time_words(segments, seek, size, open_ended)
                if not keep:
                    continue
            self._take(segments, heard)

    def _decode(self, seek: int, size: int) -> Generator[Wish, Any, Decoded]:
        """Decode a window, at higher temperatures as long as the outcome looks like a failure."""
        prompt = self._prompt()
        for temperature in self.options.temperature:
            heard: Decoded = yield Decode(seek, size, prompt, temperature, self.language)
            if not self._failed(heard):
                break
        return heard

    def _prompt(self) -> tuple[int, ...]:
        if not self.options.carry_initial_prompt:
            return tuple(self._tokens[self._prompt_from :])
        said = self._tokens[max(len(self._initial), self._prompt_from) :]
        # As the reference has it: no room left means all of it, which is then cut at the front.
        return (*self._initial, *said[-self._room :])

    def _failed(self, heard: Decoded) -> bool:
        ratio, logprob = self.options.compression_ratio_threshold, self.options.logprob_threshold
        unlikely = logprob is not None and heard.avg_logprob < logprob
        silent = self.options.no_speech_threshold
        if unlikely and silent is not None and heard.no_speech_prob > silent:
            return False
        return unlikely or (ratio is not None and heard.compression_ratio > ratio)

    def _is_silence(self, heard: Decoded) -> bool:
        silent, logprob = self.options.no_speech_threshold, self.options.logprob_threshold
        if silent is None or not heard.no_speech_prob > silent:
            return False
        return logprob is None or not heard.avg_logprob > logprob

    def _cut(self, heard: Decoded, seek: int, size: int) -> tuple[list[Segment], int, bool]:
        """Segments of a window, where to go on, and whether speech may go on behind the last.

        Between two segments stand two timestamps. Speech ends with the last segment if a single
        timestamp ends the tokens; else the part behind the last pair is unfinished, and the next
        window begins where it does.
        """
        tokens, zero = heard.tokens, self._tokenizer.timestamp_begin
        stamped = [token >= zero for token in tokens]
        closed = stamped[-2:] == [False, True]
        bounds = [i for i in range(1, len(tokens)) if stamped[i - 1] and stamped[i]]
        offset = float(seek * HOP_LENGTH / SAMPLE_RATE)
        if not bounds:
            last = [token - zero for token in tokens if token >= zero][-1:]
            # With no timestamp but 0.00, the window as a whole.
            length = last[0] * self._seconds_a_position if last and last[0] else None
            if length is None:
                length = size * HOP_LENGTH / SAMPLE_RATE
            whole = self._segment(seek, offset, offset + length, tokens, heard)
            return [whole], seek + size, not closed
        if closed:
            bounds.append(len(tokens))
        segments = [
            self._segment(
                seek,
                offset + (tokens[first] - zero) * self._seconds_a_position,
                offset + (tokens[end - 1] - zero) * self._seconds_a_position,
                tokens[first:end],
                heard,
            )
            for first, end in itertools.pairwise([0, *bounds])
        ]
        if closed:
            return segments, seek + size, False
        onward = (tokens[bounds[-1] - 1] - zero) * self._frames_a_position
        return segments, seek + onward, True

    def _segment(
        self, seek: int, start: float, end: float, tokens: list[int], heard: Decoded
    ) -> Segment:
        return {
            "seek": seek,
            "start": start,
            "end": end,
            "text": self._tokenizer.decode([t for t in tokens if t < self._tokenizer.eot]),
            "tokens": tokens,
            "temperature": heard.temperature,
            "avg_logprob": heard.avg_logprob,
            "compression_ratio": heard.compression_ratio,
            "no_speech_prob": heard.no_speech_prob,
        }

    def _time_words(
        self, segments: list[Segment], seek: int, size: int, open_ended: bool
    ) -> Generator[Wish, Any, bool]:
        """Add words to the segments and let them decide where to go on; False drops them all."""
        by_segment = [[t for t in s["tokens"] if t < self._tokenizer.eot] for s in segments]
        text_tokens = tuple(token for tokens in by_segment for token in tokens)
        timings: list[WordTiming] = []
        if text_tokens:
            timings = yield Align(seek, size, text_tokens, self.language)
        place_words(
            segments,
            by_segment,
            timings,
            prepended=self.options.prepend_punctuations,
            appended=self.options.append_punctuations,
            spoken_until=self._spoken_until,
        )
        offset = float(seek * HOP_LENGTH / SAMPLE_RATE)
        last_end = end_of(segments)
        if open_ended and last_end is not None and last_end > offset:
            self._seek = round(last_end * FRAMES_PER_SECOND)
        threshold = self.options.hallucination_silence_threshold
        if threshold is not None and not self._doubt(segments, seek, size, open_ended, threshold):
            return False
        last_end = end_of(segments)
        if last_end is not None:
            self._spoken_until = last_end
        return True

    def _doubt(
        self, segments: list[Segment], seek: int, size: int, open_ended: bool, threshold: float
    ) -> bool:
        """Skip silences around what may be made up; False drops the window's segments."""
        offset = float(seek * HOP_LENGTH / SAMPLE_RATE)
        window_end = float((seek + N_FRAMES) * HOP_LENGTH / SAMPLE_RATE)
        last_end = end_of(segments)
        if open_ended and last_end is not None and last_end > offset:
            rest = window_end - last_end
            self._seek = round(last_end * FRAMES_PER_SECOND) if rest > threshold else seek + size
        first = next((s for s in segments if s["words"]), None)
        if first is not None and suspicious(first):
            gap = first["start"] - offset
            if gap > threshold:
                self._seek = seek + round(gap * FRAMES_PER_SECOND)
                return False
        real_until = self._spoken_until
        for number, segment in enumerate(segments):
            if not segment["words"]:
                continue
            if suspicious(segment):
                following = next((s for s in segments[number + 1 :] if s["words"]), None)
                resumes = (
                    following["words"][0]["start"]
                    if following
                    else offset + size * HOP_LENGTH / SAMPLE_RATE
                )
                quiet_before = (
                    segment["start"] - real_until > threshold
                    or segment["start"] < threshold
                    or segment["start"] - offset < 2.0
                )
                quiet_after = (
                    resumes - segment["end"] > threshold
                    or suspicious(following)
                    or window_end - segment["end"] < 2.0
                )
                if quiet_before and quiet_after:
                    self._seek = round(max(offset + 1, segment["start"]) * FRAMES_PER_SECOND)
                    duration = float(self.frames * HOP_LENGTH / SAMPLE_RATE)
                    if duration - segment["end"] < threshold:
                        self._seek = self.frames
                    del segments[number:]
                    break
            real_until = segment["end"]
        return True

    def _take(self, segments: list[Segment], heard: Decoded) -> None:
        """Keep a window's segments, and remember their tokens for the prompts to come."""
        if self._tell:
            self._tell(segments)
        for segment in segments:
            if segment["start"] == segment["end"] or not segment["text"].strip():
                segment.update(text="", tokens=[], words=[])
        self.segments += [
            {"id": number, **segment} for number, segment in enumerate(segments, len(self.segments))
        ]
        for segment in segments:
            self._tokens += segment["tokens"]
        if not self.options.condition_on_previous_text or heard.temperature > 0.5:
            self._prompt_from = len(self._tokens)
