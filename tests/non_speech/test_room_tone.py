"""Room tone: the pause of a recording, thirty seconds of it, without clicks."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nightscribe.audio.decode import decode
from nightscribe.audio.samples import SAMPLE_RATE
from nightscribe.non_speech.catalog import as_steps
from nightscribe.non_speech.room_tone import (
    LENGTH_S,
    STRETCH_S,
    NoRoomTone,
    extended,
    quietest,
    room_tone,
)
from nightscribe.non_speech.sounds import sine
from tests.nights import SAMPLES

STRETCH = round(STRETCH_S * SAMPLE_RATE)
CLIPS = ("long/long-es.mp3", "long/long-fr.ogg", "long/long-zh.m4a")


def spoken(pause_at_s: float, level: float, seed: int) -> np.ndarray:
    """Three seconds that are loud but for half a second of noise."""
    random = np.random.default_rng(seed)
    samples = random.standard_normal(3 * SAMPLE_RATE) * 6000
    start = round(pause_at_s * SAMPLE_RATE)
    samples[start : start + SAMPLE_RATE // 2] = level * random.standard_normal(SAMPLE_RATE // 2)
    return np.round(samples).clip(-32768, 32767).astype(np.int16)


@given(st.floats(0, 2.5), st.floats(5, 300), st.integers(0, 2**32 - 1))
@settings(max_examples=25, deadline=None)
def test_the_pause_is_found_wherever_it_is(pause_at_s: float, level: float, seed: int) -> None:
    stretch = quietest(spoken(pause_at_s, level, seed))
    assert len(stretch) == STRETCH
    assert np.sqrt(np.mean(stretch.astype(float) ** 2)) < 1.5 * level


@given(st.floats(20, 3000), st.integers(0, 2**32 - 1), st.sampled_from([1, 7, 30]))
@settings(max_examples=15, deadline=None)
def test_a_stretch_is_made_longer_without_clicks(
    frequency_hz: float, seed: int, length_s: int
) -> None:
    """Of a smooth sound, no step between two samples is larger than it can have in itself.

    A cut would have a step of up to twice the amplitude. Two faded pieces together have at most the
    square root of 2 of the steps of one, and the fade itself adds little.
    """
    amplitude = 8000.0
    stretch = np.round(sine(STRETCH, frequency_hz) * amplitude / np.sqrt(2)).astype(np.int16)
    longer = extended(stretch, length_s * SAMPLE_RATE, np.random.default_rng(seed))
    assert len(longer) == length_s * SAMPLE_RATE
    own = np.abs(np.diff(stretch.astype(int))).max()
    assert np.abs(np.diff(longer.astype(int))).max() <= 1.5 * own + 0.01 * amplitude


@given(st.integers(0, 2**32 - 1), st.floats(30, 3000))
@settings(max_examples=10, deadline=None)
def test_what_is_made_longer_stays_as_loud(seed: int, level: float) -> None:
    random = np.random.default_rng(seed)
    stretch = np.round(level * random.standard_normal(STRETCH)).astype(np.int16)
    longer = extended(stretch, 5 * SAMPLE_RATE, random).astype(float)
    tenths = np.sqrt(np.mean(longer.reshape(50, -1) ** 2, axis=1)) / level
    assert 0.8 < tenths.min() <= tenths.max() < 1.2


@pytest.mark.parametrize("clip", CLIPS)
def test_room_tone_of_speech_is_far_below_it(clip: str) -> None:
    samples = as_steps(decode(SAMPLES / clip).samples)
    made = room_tone(samples)
    assert np.array_equal(made, room_tone(samples))
    assert len(made) == LENGTH_S * SAMPLE_RATE
    loud = np.percentile(np.abs(samples.astype(int)), 95)
    assert 0 < np.abs(made.astype(int)).max() < loud


@pytest.mark.parametrize(
    ("samples", "why"),
    [
        (spoken(1, 50, 0)[: STRETCH // 2], "shorter than"),
        (np.zeros(SAMPLE_RATE, np.int16), "digital silence"),
        (spoken(1, 0, 0) * (np.arange(48000) % 480 > 330), "digital silence"),
        (as_steps(0.2 * sine(2 * SAMPLE_RATE, 440)), "no pause"),
        (spoken(0, 3000, 0), "no pause"),
        (np.empty(0, np.int16), "shorter than"),
    ],
)
def test_a_recording_without_a_pause_is_refused(samples: np.ndarray, why: str) -> None:
    with pytest.raises(NoRoomTone, match=why):
        room_tone(samples)
