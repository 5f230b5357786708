"""Stretches without a voice are found; a recording without long pauses stays whole."""

from __future__ import annotations

import importlib.util
import io

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from nightscribe.audio import speech
from nightscribe.audio.decode import decode
from nightscribe.audio.samples import FULL_SCALE, SAMPLE_RATE
from nightscribe.audio.speech import SKIPPED_S, check_installed, speech_in
from nightscribe.errors import ConfigurationError
from tests.nights import SAMPLES

if (
    importlib.util.find_spec("silero_vad") is None
    or importlib.util.find_spec("onnxruntime") is None
):
    pytest.skip("needs silero-vad: pip install 'nightscribe[vad]'", allow_module_level=True)

VOICES = ("english/en-01.flac", "german/de-02.mp3", "chinese/zh-04.wav")


def voice(name: str = VOICES[0]) -> NDArray[np.int16]:
    content = (SAMPLES / name).read_bytes()
    return (decode(io.BytesIO(content)).samples * FULL_SCALE).astype(np.int16)


def quiet(seconds: float, level: float = 3.0) -> NDArray[np.int16]:
    count = int(seconds * SAMPLE_RATE)
    return (np.random.default_rng(0).standard_normal(count) * level).astype(np.int16)


@pytest.mark.parametrize("name", VOICES)
def test_speech_alone_is_one_stretch(name: str) -> None:
    samples = voice(name)
    assert speech_in(samples) == ((0.0, len(samples) // 160 / 100),)


@pytest.mark.parametrize("name", VOICES)
def test_silence_around_speech_is_skipped_but_for_the_edge_of_it(name: str) -> None:
    said = voice(name)
    end = 20 + len(said) / SAMPLE_RATE
    [(start, last)] = speech_in(np.concatenate([quiet(20), said, quiet(15)]))
    assert 19 <= start <= 20.5
    assert end - 1 <= last <= end + 1


def test_a_pause_is_skipped_from_two_seconds_on() -> None:
    said = voice()
    for pause, stretches in ((0.8, 1), (6.0, 2)):
        assert len(speech_in(np.concatenate([said, quiet(pause), said]))) == stretches


@pytest.mark.parametrize(
    "sound",
    [
        np.zeros(0, np.int16),
        np.zeros(100, np.int16),
        np.zeros(30 * SAMPLE_RATE, np.int16),
        quiet(30, 300),
        (3000 * np.sin(np.arange(30 * SAMPLE_RATE) / 20)).astype(np.int16),
    ],
    ids=["nothing", "a click", "silence", "noise", "a tone"],
)
def test_nobody_speaks(sound: NDArray[np.int16]) -> None:
    assert speech_in(sound) == ()


def test_a_long_recording_is_heard_block_by_block(monkeypatch: pytest.MonkeyPatch) -> None:
    part = np.concatenate([voice(), quiet(5), voice(VOICES[1]), quiet(7)])
    whole = np.tile(part, 4)
    expected = speech_in(whole)
    monkeypatch.setattr(speech, "_BLOCK", 400 * 512)  # 12.8 s
    found = speech_in(whole)
    assert np.allclose(found, expected, atol=0.1)


def test_the_detector_leaves_the_threads_of_torch_alone() -> None:
    threads = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        speech._detector.cache_clear()
        speech_in(voice())
        assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(threads)


seconds = st.floats(0, 100, allow_nan=False).map(lambda value: round(value, 3))


@given(st.lists(seconds, max_size=12, unique=True), st.floats(0, 20))
@settings(deadline=None)
def test_what_lies_between_stretches_is_long(times: list[float], after: float) -> None:
    times = sorted(times)[: len(times) // 2 * 2]
    given_stretches = list(zip(times[::2], times[1::2], strict=True))
    length = (times[-1] if times else 0.0) + after
    found = speech._without_short_gaps(given_stretches, length)
    assert bool(found) == bool(given_stretches)
    flat = [time for stretch in found for time in stretch]
    assert flat == sorted(flat)
    least = SKIPPED_S - 2 * speech._PADDING_S - 0.02
    assert all(start - end >= least for end, start in zip(flat[1:-1:2], flat[2::2], strict=True))
    for start, end in given_stretches:  # nothing with speech is lost, but for half a frame
        assert any(a <= start + 1e-9 and end - 0.02 <= b for a, b in found)


@pytest.mark.parametrize("package", ["silero_vad", "onnxruntime"])
def test_a_package_that_is_missing_is_named(package: str, monkeypatch: pytest.MonkeyPatch) -> None:
    find = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda name: None if name == package else find(name)
    )
    with pytest.raises(
        ConfigurationError, match=rf"{package} is not installed; .*nightscribe\[vad"
    ):
        check_installed()
