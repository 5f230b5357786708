"""Difficult conditions: a telephone line, a room and a background are as stated."""

from __future__ import annotations

import numpy as np
import pytest

from tools.demo_model.conditions import far_microphone, mixed, music, rms_of_speech, telephone
from tools.demo_model.sounds import Samples

RATE = 16_000


@pytest.fixture
def arrays() -> np.random.Generator:
    return np.random.default_rng(7)


def db(part: Samples, whole: Samples) -> float:
    """The power of a part relative to the whole, dB."""
    return float(10 * np.log10(np.mean(np.square(part)) / np.mean(np.square(whole))))


def band(samples: Samples, low: float, high: float) -> Samples:
    spectrum = np.fft.rfft(samples)
    frequencies = np.linspace(0, RATE / 2, len(spectrum))
    spectrum[(frequencies < low) | (frequencies > high)] = 0
    return np.fft.irfft(spectrum, len(samples)).astype(np.float32)


@pytest.mark.parametrize(("low", "high"), [(0, 250), (3600, 8000), (4200, 8000)])
def test_a_telephone_line_has_nothing_outside_its_band(
    arrays: np.random.Generator, low: float, high: float
) -> None:
    white = (arrays.standard_normal(4 * RATE) * 0.05).astype(np.float32)
    heard = telephone(arrays, white, ratio_db=60)
    assert db(band(white, low, high), white) > -20
    assert db(band(heard, low, high), heard) < -30
    assert db(band(heard, 400, 3300), band(white, 400, 3300)) == pytest.approx(0, abs=0.5)


@pytest.mark.parametrize("ratio_db", [25, 18, 6])
def test_a_telephone_line_adds_the_stated_noise(
    arrays: np.random.Generator, ratio_db: float
) -> None:
    time = np.arange(4 * RATE, dtype=np.float32) / RATE
    tone = (0.2 * np.sin(2 * np.pi * 1000 * time)).astype(np.float32)
    heard = telephone(arrays, tone, ratio_db=ratio_db)
    noise = heard - band(heard, 995, 1005)
    assert db(noise, tone) == pytest.approx(-ratio_db, abs=1)


@pytest.mark.parametrize("decay_s", [0.3, 0.6, 1.2])
def test_a_room_decays_in_the_stated_time(arrays: np.random.Generator, decay_s: float) -> None:
    click = np.zeros(2 * RATE, np.float32)
    click[100] = 1
    heard = far_microphone(arrays, click, decay_s=decay_s, direct_db=0, ratio_db=200, level_db=0)
    tail = heard[100 + RATE // 100 :]  # behind the direct sound
    parts = [tail[int(share * decay_s * RATE) :][: RATE // 50] for share in (0.1, 0.6)]
    assert db(parts[1], parts[0]) == pytest.approx(-30, abs=4)


@pytest.mark.parametrize("direct_db", [6, 0, -6])
def test_a_room_has_the_stated_direct_sound(arrays: np.random.Generator, direct_db: float) -> None:
    click = np.zeros(RATE, np.float32)
    click[100] = 1
    heard = far_microphone(
        arrays, click, decay_s=0.6, direct_db=direct_db, ratio_db=200, level_db=0
    )
    direct, rest = np.sum(heard[:120] ** 2), np.sum(heard[120:] ** 2)
    assert 10 * np.log10(direct / rest) == pytest.approx(direct_db, abs=0.1)


@pytest.mark.parametrize("level_db", [0, -12, -30])
def test_a_far_microphone_has_the_stated_level(
    arrays: np.random.Generator, level_db: float
) -> None:
    speech = (arrays.standard_normal(4 * RATE) * 0.2).astype(np.float32)
    heard = far_microphone(arrays, speech, decay_s=0.4, direct_db=0, ratio_db=40, level_db=level_db)
    assert db(heard, speech) == pytest.approx(level_db, abs=0.5)


@pytest.mark.parametrize("ratio_db", [25, 10, 0])
def test_a_background_is_as_far_below_the_speech_as_stated(
    arrays: np.random.Generator, ratio_db: float
) -> None:
    """The pauses of the speech do not count."""
    speech = (arrays.standard_normal(4 * RATE) * 0.2).astype(np.float32)
    speech[RATE : 3 * RATE] = 0
    background = music(arrays, len(speech))
    heard = mixed(speech, background, ratio_db)
    level = 20 * np.log10(rms_of_speech(heard - speech) / rms_of_speech(speech))
    assert level == pytest.approx(-ratio_db, abs=0.5)
