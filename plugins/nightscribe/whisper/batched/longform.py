"""Whisper's long-form algorithm for one recording, as a generator.

Windows of 30 s follow one another. Where a window starts, and its prompt, depend on the text of
the windows before. Whenever the algorithm needs the network, it yields a request
(`DetectLanguage`, `DecodeWindow`, `AlignWords`) and is sent the answer. So a scheduler can gather
the requests of many recordings and answer them together. The algorithm takes the same decisions
as `whisper.transcribe`, with the same order of arithmetic, so that times are equal to the last
digit.
"""

from __future__ import annotations

from collections.abc import Callable, Generator
from dataclasses import dataclass
from typing import Any

from whisper.audio import FRAMES_PER_SECOND, N_FRAMES

from nightscribe.audio.speech import Clips
from nightscribe.whisper.batched.hallucinations import filter_hallucinations
from nightscribe.whisper.batched.model_shape import ModelShape
from nightscribe.whisper.batched.network_requests import (
    AlignWords,
    DecodedWindow,
    DecodeWindow,
    DetectLanguage,
    NetworkRequest,
)
from nightscribe.whisper.batched.prompts import PromptHistory
from nightscribe.whisper.batched.segments import Segment, WindowSegments, cut_segments
from nightscribe.whisper.batched.windows import Window
from nightscribe.whisper.batched.word_timestamps import WordTiming, end_of_speech, place_words
from nightscribe.whisper.options import Options

__all__ = ["LongformResult", "OnSegments", "clip_bounds", "frame_at", "transcribe_recording"]

OnSegments = Callable[[list[Segment]], None]
"""Called with the segments of each window as soon as they are final."""

_PROMPT_TEMPERATURE = 0.5  # text decoded at a higher one does not prompt the next window


@dataclass(frozen=True)
class LongformResult:
    """What `whisper.transcribe` returns, and the probability of the language."""

    language: str
    language_probability: float | None  # None when the language was given
    text: str
    segments: list[Segment]


def transcribe_recording(
    frames: int,
    task: str,
    options: Options,
    shape: ModelShape,
    on_segments: OnSegments | None = None,
    speech: Clips | None = None,
) -> Generator[NetworkRequest, Any, LongformResult]:
    """Transcribe a recording whose spectrogram has this number of frames (100 a second).

    `speech`: the stretches to transcribe, instead of the clips of the options.
    """
    language, probability = options.language, None
    if language is None:
        language, probability = (yield DetectLanguage()) if shape.multilingual else ("en", 1.0)
    recording = _RecordingState(frames, language, task, options, shape, on_segments)
    clips = clip_bounds(options.clip_timestamps, frames)
    if speech is not None:
        clips = [(frame_at(start), frame_at(end)) for start, end in speech]
    for first, last in clips:
        yield from recording.transcribe_clip(first, last)
    return LongformResult(language, probability, recording.text(), recording.segments)


def frame_at(seconds: float) -> int:
    """The frame that begins at this time, as `whisper.transcribe` rounds it."""
    return round(seconds * int(FRAMES_PER_SECOND))


def clip_bounds(timestamps: str, frames: int) -> list[tuple[int, int]]:
    """First and last frame of each clip, from seconds as in "10,20,35".

    A clip that ends after the recording ends with the recording, as in
    `nightscribe.whisper.reference.clips_within`. (`whisper.transcribe` never finishes such a clip.)
    """
    bounds = [frame_at(float(time)) for time in timestamps.split(",") if time]
    bounds = bounds or [0]
    if len(bounds) % 2:
        bounds.append(frames)
    return [
        (first, min(last, frames)) for first, last in zip(bounds[::2], bounds[1::2], strict=True)
    ]


class _RecordingState:
    """What one window of a recording leaves to the next."""

    def __init__(
        self,
        frames: int,
        language: str,
        task: str,
        options: Options,
        shape: ModelShape,
        on_segments: OnSegments | None,
    ) -> None:
        self.segments: list[Segment] = []
        self._frames = frames
        self._language = language
        self._options = options
        self._shape = shape
        self._on_segments = on_segments
        self._tokenizer = shape.tokenizer(language, task)
        self._prompts = PromptHistory(options, self._tokenizer, shape)
        self._last_speech_end = 0.0  # seconds; only word timestamps move it
        self._seek = 0

    def text(self) -> str:
        """The text of all windows so far."""
        text: str = self._tokenizer.decode(self._prompts.text_tokens)
        return text

    def transcribe_clip(self, first: int, last: int) -> Generator[NetworkRequest, Any, None]:
        """Transcribe from one frame to another, window by window."""
        self._seek = first
        while (seek := max(self._seek, first)) < last:
            window = Window(seek, min(N_FRAMES, self._frames - seek, last - seek))
            decoded = yield from self._decode_with_fallback(window)
            if self._is_silence(decoded):
                self._seek = window.seek + window.size
                continue
            cut = cut_segments(decoded, window, self._tokenizer, self._shape)
            self._seek = cut.next_seek
            segments: list[Segment] | None = cut.segments
            if self._options.word_timestamps:
                segments = yield from self._add_words(cut, window)
            if segments is not None:
                self._keep(segments, decoded.temperature)

    def _decode_with_fallback(
        self, window: Window
    ) -> Generator[NetworkRequest, Any, DecodedWindow]:
        """Decode a window; at the next temperature as long as the text fails the thresholds."""
        prompt = self._prompts.prompt()
        for temperature in self._options.temperature:
            decoded: DecodedWindow = yield DecodeWindow(window, prompt, temperature, self._language)
            if not self._needs_fallback(decoded):
                break
        return decoded

    def _needs_fallback(self, decoded: DecodedWindow) -> bool:
        max_ratio = self._options.compression_ratio_threshold
        min_logprob = self._options.logprob_threshold
        max_no_speech = self._options.no_speech_threshold
        improbable = min_logprob is not None and decoded.avg_logprob < min_logprob
        if improbable and max_no_speech is not None and decoded.no_speech_prob > max_no_speech:
            return False  # silence
        return improbable or (max_ratio is not None and decoded.compression_ratio > max_ratio)

    def _is_silence(self, decoded: DecodedWindow) -> bool:
        max_no_speech = self._options.no_speech_threshold
        min_logprob = self._options.logprob_threshold
        if max_no_speech is None or not decoded.no_speech_prob > max_no_speech:
            return False
        return min_logprob is None or not decoded.avg_logprob > min_logprob

    def _add_words(
        self, cut: WindowSegments, window: Window
    ) -> Generator[NetworkRequest, Any, list[Segment] | None]:
        """Add words to a window's segments; their times may move the start of the next window.

        Returns the segments to keep, or None if the window is to be skipped.
        """
        segments: list[Segment] | None = cut.segments
        eot = self._tokenizer.eot
        tokens_by_segment = [[t for t in s["tokens"] if t < eot] for s in cut.segments]
        text_tokens = tuple(token for tokens in tokens_by_segment for token in tokens)
        timings: list[WordTiming] = []
        if text_tokens:
            timings = yield AlignWords(window, text_tokens, self._language)
        place_words(
            cut.segments,
            tokens_by_segment,
            timings,
            prepended=self._options.prepend_punctuations,
            appended=self._options.append_punctuations,
            last_speech_end=self._last_speech_end,
        )
        last_end = end_of_speech(cut.segments)
        if cut.open_ended and last_end is not None and last_end > window.start_s:
            self._seek = round(last_end * FRAMES_PER_SECOND)
        threshold = self._options.hallucination_silence_threshold
        if threshold is not None:
            filtered = filter_hallucinations(
                cut.segments,
                window,
                self._seek,
                open_ended=cut.open_ended,
                threshold=threshold,
                last_speech_end=self._last_speech_end,
                frames=self._frames,
            )
            segments, self._seek = filtered.segments, filtered.next_seek
        if segments is not None and (last_end := end_of_speech(segments)) is not None:
            self._last_speech_end = last_end
        return segments

    def _keep(self, segments: list[Segment], temperature: float) -> None:
        """Keep a window's segments, and their tokens for the prompts of later windows."""
        if self._on_segments:
            self._on_segments(segments)
        for segment in segments:
            if segment["start"] == segment["end"] or not segment["text"].strip():
                segment.update(text="", tokens=[], words=[])
        self.segments += [
            {"id": number, **segment} for number, segment in enumerate(segments, len(self.segments))
        ]
        for segment in segments:
            self._prompts.add(segment["tokens"])
        if not self._options.condition_on_previous_text or temperature > _PROMPT_TEMPERATURE:
            self._prompts.reset()
