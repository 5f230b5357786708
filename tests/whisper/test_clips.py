"""Clips that lie beyond the end of a recording end with it, in both engines alike."""

from __future__ import annotations

import signal
import wave
from collections.abc import Iterator
from pathlib import Path
from types import FrameType
from typing import Any

import numpy as np
import pytest

from nightscribe.audio.decode import decode
from nightscribe.audio.samples import SAMPLE_RATE
from nightscribe.whisper.contract import Job, LoadedModel, Request, Transcript
from nightscribe.whisper.engines import engine_named, load_model
from nightscribe.whisper.options import Options
from nightscribe.whisper.reference import clips_within
from tests.nights import SAMPLES
from tests.parity import differences

ENGINES = ("batched", "reference")
CLIP = SAMPLES / "english" / "en-03.ogg"


class Endless(BaseException):
    """Not an Exception: the engines turn those into failures of the recording."""


@pytest.fixture(scope="module")
def models() -> dict[str, LoadedModel]:
    """One for each engine: the batched one takes the weights of its own."""
    return {engine: load_model("demo", "cpu") for engine in ("batched", "reference")}


@pytest.fixture(autouse=True)
def time_limit() -> Iterator[None]:
    """An endless loop fails the test after 20 s."""

    def stop(signum: int, frame: FrameType | None) -> None:
        raise Endless("the engine did not finish")

    before = signal.signal(signal.SIGALRM, stop)
    signal.alarm(20)
    yield
    signal.alarm(0)
    signal.signal(signal.SIGALRM, before)


def transcript(
    engine: str, models: dict[str, LoadedModel], path: Path, options: Options
) -> Transcript:
    request = Request("a" * 64, str(path), (Job("transcribe", options),))
    [result] = engine_named(engine)(iter([request]), models[engine])
    assert isinstance(result, Transcript)
    return result


@pytest.mark.parametrize(
    ("clips", "words"),
    [
        ("0,3600", False),
        ("1,3600", True),
        ("3600", False),
        ("3600,3700", True),
        ("3600,3700,0,1", False),
        ("0,1,3600,3700", False),
        ("0,1,0.5,3600,2,1e9", True),
        ("1,1", False),
        ("2,1,0,3600", False),
        ("3600,1", False),
        ("", False),
    ],
)
def test_both_engines_end_clips_at_the_end_of_the_recording(
    models: dict[str, LoadedModel], clips: str, words: bool
) -> None:
    options = Options(
        language="en", temperature=(0.0,), clip_timestamps=clips, word_timestamps=words
    )
    ours = transcript("batched", models, CLIP, options)
    theirs = transcript("reference", models, CLIP, options)
    assert [s["tokens"] for s in theirs.segments] == [s["tokens"] for s in ours.segments]
    assert [(s["start"], s["end"]) for s in theirs.segments] == [
        (s["start"], s["end"]) for s in ours.segments
    ]
    assert theirs.text == ours.text


def test_clip_beyond_the_end_has_no_text_and_one_that_ends_there_has_all(
    models: dict[str, LoadedModel],
) -> None:
    given: dict[str, Any] = {"language": "en", "temperature": (0.0,)}
    whole = transcript("reference", models, CLIP, Options(**given))
    to_the_end = transcript("reference", models, CLIP, Options(**given, clip_timestamps="0,3600"))
    beyond = transcript("reference", models, CLIP, Options(**given, clip_timestamps="3600,3700"))
    assert whole.segments
    assert to_the_end.segments == whole.segments
    assert beyond.segments == []


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ("0", "0"),
        ("", ""),
        ("1,2,5", "1,2,5"),
        ("1,6", "1,6"),
        ("1,6.001", [1.0, 6.0]),
        ("9,10", [9.0, 6.0]),
        ("1,2,9", "1,2,9"),
    ],
)
def test_only_ends_beyond_the_recording_are_moved(given: str, expected: str | list[float]) -> None:
    assert clips_within(given, 6 * 16_000) == expected


@pytest.mark.parametrize(
    ("clips", "problem"),
    [
        ("nan", "expected numbers"),
        ("0,inf", "expected numbers"),
        ("1,-inf", "expected numbers"),
        ("-1", "-1 is not a time in a recording"),
        ("0,5,-0.5,2", "-0.5 is not a time in a recording"),
        ("0,1e308", "expected seconds from 0 to 1000000000"),
    ],
)
def test_times_that_no_recording_has_are_refused(clips: str, problem: str) -> None:
    mistake = Options(clip_timestamps=clips).mistake()
    assert mistake is not None
    assert mistake.startswith(f"clip_timestamps {clips!r}: ")
    assert problem in mistake


def write_wav(path: Path, *parts: np.ndarray) -> Path:
    with wave.open(str(path), "wb") as file:
        file.setparams((1, 2, SAMPLE_RATE, 0, "NONE", ""))
        file.writeframes(np.concatenate(parts).astype(np.int16).tobytes())
    return path


@pytest.mark.parametrize(
    ("before", "between", "after", "options"),
    [
        (0, 0, 0, {}),
        (40, 8, 5, {}),
        (3, 40, 33, {"word_timestamps": True}),
        (31, 3, 0, {"condition_on_previous_text": False, "temperature": (0.0,)}),
    ],
)
def test_both_engines_skip_the_same_silence(
    before: float,
    between: float,
    after: float,
    options: dict[str, Any],
    models: dict[str, LoadedModel],
    tmp_path: Path,
) -> None:
    """The language is that of the first words, wherever they are."""
    pytest.importorskip("silero_vad", reason="needs silero-vad: pip install 'nightscribe[vad]'")
    said = [
        decode(str(SAMPLES / "german" / name)).samples * 32_768
        for name in ("de-01.flac", "de-02.mp3")
    ]
    pauses = [np.zeros(int(seconds * SAMPLE_RATE)) for seconds in (before, between, after)]
    path = write_wav(tmp_path / "x.wav", pauses[0], said[0], pauses[1], said[1], pauses[2])
    wanted = Options(speech_only=True, **options)
    ours, theirs = (transcript(engine, models, path, wanted) for engine in ENGINES)
    assert differences(ours, theirs) == []
    assert ours.language == "de"
    assert ours.segments
    assert all(one["end"] <= ours.duration_s for one in ours.segments)
    if before > 2:
        assert ours.segments[0]["start"] >= before - 1
    second = before + len(said[0]) / SAMPLE_RATE
    if between > 2:
        assert not any(second + 1 < one["start"] < second + between - 1 for one in ours.segments), (
            ours.segments
        )


@pytest.mark.parametrize("engine", ["batched", "reference"])
def test_where_nobody_speaks_nothing_is_written(
    engine: str, models: dict[str, LoadedModel], tmp_path: Path
) -> None:
    pytest.importorskip("silero_vad", reason="needs silero-vad: pip install 'nightscribe[vad]'")
    path = write_wav(tmp_path / "x.wav", np.random.default_rng(0).normal(0, 300, 20 * SAMPLE_RATE))
    found = transcript(engine, models, path, Options(speech_only=True))
    assert (found.text, found.segments, found.duration_s) == ("", [], 20)
    assert found.language_probability is not None


def test_speech_only_and_clips_exclude_each_other() -> None:
    mistake = Options(speech_only=True, clip_timestamps="1,2").mistake()
    assert mistake == "speech_only: it chooses the clips; leave clip_timestamps out"
    assert Options(speech_only=True).mistake() is None
