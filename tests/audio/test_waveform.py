"""The waveform of a recording: small, in equal steps, as long as the recording."""

from __future__ import annotations

import io

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nightscribe.audio.decode import inspect
from nightscribe.audio.waveform import Waveform
from tests.audio.files import wav


def test_loud_and_quiet_stretches_are_where_they_are() -> None:
    generator = np.random.default_rng(1)
    loud = generator.normal(0, 8000, 16_000 * 4)
    quiet = generator.normal(0, 80, 16_000 * 4)
    silence = np.zeros(16_000 * 2)
    samples = np.concatenate([loud, quiet, silence]).clip(-32768, 32767).astype(np.int16)
    made = inspect(io.BytesIO(wav(samples.tobytes()))).waveform
    assert made.step_s == 0.5
    assert len(made.levels) == pytest.approx(20, abs=1)
    assert min(made.levels[:7]) > 180
    assert 0 < max(made.levels[9:15]) < 60
    assert max(made.levels[17:]) == 0


@pytest.mark.parametrize("channels", [1, 2, 6])
def test_any_number_of_channels_has_one(channels: int) -> None:
    samples = np.random.default_rng(2).normal(0, 3000, (16_000, channels)).astype(np.int16)
    made = inspect(io.BytesIO(wav(samples.tobytes(), channels=channels))).waveform
    assert min(made.levels) > 100


@given(st.lists(st.floats(0.1, 5000.0), min_size=1, max_size=300), st.floats(0.0, 1.0))
def test_it_is_bounded_and_covers_the_recording(steps: list[float], power: float) -> None:
    made = Waveform()
    at = 0.0
    for step in steps:
        made.add(at, power)
        at += step
    last = at - steps[-1]
    assert len(made.levels) <= 2_000
    assert len(made.levels) * made.step_s >= last
    assert len(set(made.levels)) == 1
    assert all(0 <= level <= 255 for level in made.levels)
