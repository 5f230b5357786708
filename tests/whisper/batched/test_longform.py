"""The long-form algorithm decides as `whisper.transcribe` does, in every branch.

Both get the same made-up answers of a network: any tokens that the rules allow, any
probabilities, any word times. So every branch is compared without a network.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from unittest.mock import patch

import numpy as np
import pytest
import torch
import whisper
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from whisper.decoding import DecodingOptions, DecodingResult
from whisper.tokenizer import get_tokenizer

from nightscribe.whisper.batched.longform import clip_bounds, transcribe_recording
from nightscribe.whisper.batched.model_shape import ModelShape
from nightscribe.whisper.batched.network_requests import (
    AlignWords,
    DecodedWindow,
    DecodeWindow,
    DetectLanguage,
)
from nightscribe.whisper.batched.word_timestamps import WordTiming
from nightscribe.whisper.options import Options

SHAPE = ModelShape(multilingual=True, languages=99, audio_context=1500, text_context=448)
TOKENIZER = get_tokenizer(True, num_languages=99, language="en", task="transcribe")
ZERO, EOT = TOKENIZER.timestamp_begin, TOKENIZER.eot
WORDS = [*TOKENIZER.encode(' The doctor. "Well", she said: it is (a) - long... time! 新 的。'), 220]


class Endless(Exception):
    """Made-up answers can keep the algorithm at one window for ever; those of a network do not."""


class Script:
    """Made-up answers, the same for the same question."""

    def __init__(self, seed: int) -> None:
        self._seed = seed

    def decoded(self, prompt: tuple[int, ...], seek: int, temperature: float) -> DecodedWindow:
        pick = random.Random(f"{self._seed} {prompt} {seek} {temperature}")
        tokens: list[int] = []
        clock = pick.choice([0, 0, pick.randint(0, 50)])
        for _ in range(pick.choice([0, 1, 1, 2, 3, 5])):
            tokens.append(ZERO + clock)
            tokens += pick.choices(WORDS, k=pick.randint(0, 6))
            clock = min(1500, clock + pick.choice([0, pick.randint(1, 400)]))
            tokens.append(ZERO + clock)
            clock = min(1500, clock + pick.choice([0, 0, pick.randint(1, 300)]))
        ending = pick.random()
        if ending < 0.3:
            tokens.append(ZERO + clock)
        elif ending < 0.5:
            tokens += [ZERO + clock, *pick.choices(WORDS, k=pick.randint(1, 4))]
        elif ending < 0.6:
            tokens = pick.choices(WORDS, k=pick.randint(0, 5))
        return DecodedWindow(
            tokens,
            temperature,
            avg_logprob=-pick.choice([0.1, 0.9, 1.0, 1.5, 3.0]),
            compression_ratio=pick.choice([0.8, 1.9, 2.4, 2.9]),
            no_speech_prob=pick.choice([0.01, 0.3, 0.6, 0.95]),
        )

    def timings(self, text_tokens: tuple[int, ...]) -> list[WordTiming]:
        pick = random.Random(f"{self._seed} {text_tokens}")
        words, tokens = TOKENIZER.split_to_word_tokens([*text_tokens, EOT])
        if len(tokens) <= 1 or pick.random() < 0.05:
            return []
        clock = 0.0
        found = []
        for word, of_word in zip(words[:-1], tokens[:-1], strict=True):
            clock = min(30.0, clock + pick.choice([0.0, 0.0, pick.randint(1, 200) / 50]))
            end = min(30.0, clock + pick.choice([0.02, 0.1, 0.3, 0.3, 0.8, 3.0, 0.0]))
            probability = pick.choice([0.01, 0.1, 0.5, 0.9])
            found.append(WordTiming(word, list(of_word), clock, end, probability))
            clock = end
        return found


def ours(script: Script, frames: int, options: Options) -> dict[str, Any]:
    algorithm = transcribe_recording(frames, "transcribe", options, SHAPE)
    answer: Any = None
    for _ in range(2500):
        try:
            request = algorithm.send(answer)
        except StopIteration as end:
            result = end.value
            return {
                "text": result.text,
                "segments": result.segments,
                "language": result.language,
            }
        if isinstance(request, DetectLanguage):
            answer = ("en", 0.5)
        elif isinstance(request, DecodeWindow):
            answer = script.decoded(request.prompt[-223:], request.window.seek, request.temperature)
        else:
            assert isinstance(request, AlignWords)
            answer = script.timings(request.text_tokens)
    raise Endless


class Network:
    """Stands for the network in `whisper.transcribe`: it only answers."""

    is_multilingual, num_languages, device = True, 99, torch.device("cpu")
    dims = whisper.model.ModelDimensions(80, 1500, 8, 1, 1, 51865, 448, 8, 1, 1)

    def __init__(self, script: Script) -> None:
        self._script = script
        self._calls = 0

    def detect_language(self, mel: torch.Tensor) -> tuple[None, dict[str, float]]:
        return None, {"en": 0.5, "de": 0.2}

    def decode(self, mel: torch.Tensor, options: DecodingOptions) -> DecodingResult:
        self._calls += 1
        if self._calls > 2000:
            raise Endless
        # The spectrogram holds the number of each frame, and so where the window starts.
        prompt = tuple(options.prompt[-223:])  # type: ignore[index]
        found = self._script.decoded(prompt, round(float(mel[0, 0])), options.temperature)
        return DecodingResult(
            audio_features=mel,
            language="en",
            tokens=found.tokens,
            avg_logprob=found.avg_logprob,
            no_speech_prob=found.no_speech_prob,
            temperature=found.temperature,
            compression_ratio=found.compression_ratio,
        )


@contextmanager
def numbered_frames(frames: int, script: Script) -> Iterator[None]:
    mel = torch.arange(frames + 3000, dtype=torch.float32).repeat(80, 1)
    module = __import__("sys").modules["whisper.transcribe"]
    timing = whisper.timing

    def alignment(model: Any, tokenizer: Any, text_tokens: list[int], *rest: Any, **named: Any):  # type: ignore[no-untyped-def]
        found = script.timings(tuple(text_tokens)) if text_tokens else []
        return [timing.WordTiming(w.word, w.tokens, w.start, w.end, w.probability) for w in found]

    with (
        patch.object(module, "log_mel_spectrogram", lambda *given, **named: mel),
        patch.object(timing, "find_alignment", alignment),
    ):
        yield


def theirs(script: Script, frames: int, options: Options) -> dict[str, Any]:
    given = dict(vars(options))
    del given["speech_only"]  # which it does not have
    with numbered_frames(frames, script):
        found: dict[str, Any] = whisper.transcribe(
            Network(script), np.zeros(1, np.float32), fp16=False, **given
        )
    return found


OPTIONS = st.builds(
    Options,
    language=st.sampled_from([None, "en"]),
    temperature=st.sampled_from([(0.0, 0.2, 0.4, 0.6, 0.8, 1.0), (0.0,), (0.4, 0.8)]),
    initial_prompt=st.sampled_from([None, "The doctor.", "word " * 230]),
    carry_initial_prompt=st.booleans(),
    condition_on_previous_text=st.booleans(),
    compression_ratio_threshold=st.sampled_from([None, 2.4]),
    logprob_threshold=st.sampled_from([None, -1.0]),
    no_speech_threshold=st.sampled_from([None, 0.6, 0.2]),
    word_timestamps=st.booleans(),
    clip_timestamps=st.sampled_from(["0", "", "3,20,40", "5,12,2,30", "0,61.7"]),
    hallucination_silence_threshold=st.sampled_from([None, 0.5, 2.0]),
)


@settings(deadline=None, max_examples=400)
@given(st.integers(0, 10**9), st.integers(0, 12_000), OPTIONS)
def test_any_answers_give_the_reference_result(seed: int, frames: int, options: Options) -> None:
    script = Script(seed)
    inside = all(last <= frames for _, last in clips_as_given(options.clip_timestamps, frames))
    assume(inside)  # otherwise the reference never ends
    assert_same(script, frames, options)


def assert_same(script: Script, frames: int, options: Options) -> None:
    try:
        expected = theirs(script, frames, options)
    except Endless:
        with pytest.raises(Endless):
            ours(script, frames, options)
    else:
        assert ours(script, frames, options) == expected


def clips_as_given(timestamps: str, frames: int) -> list[tuple[int, int]]:
    points = [round(float(time) * 100) for time in timestamps.split(",") if time] or [0]
    points += [frames] * (len(points) % 2)
    return list(zip(points[::2], points[1::2], strict=True))


def test_a_clip_that_ends_after_the_recording_ends_with_it() -> None:
    assert clip_bounds("5,100", 2000) == [(500, 2000)]
    assert ours(Script(1), 2000, Options(clip_timestamps="30,100"))["segments"] == []


@pytest.mark.parametrize("frames", [0, 1, 2999, 3000, 3001])
def test_recordings_of_odd_lengths(frames: int) -> None:
    for seed in range(20):
        assert_same(Script(seed), frames, Options())
