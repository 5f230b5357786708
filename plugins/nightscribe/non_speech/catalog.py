"""The recordings of the generated set: what each one is, how long and how loud."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from nightscribe.audio.samples import FULL_SCALE, SAMPLE_RATE
from nightscribe.non_speech import music
from nightscribe.non_speech.sounds import (
    Samples,
    applause,
    at_level,
    breath,
    colored,
    hum,
    knocks,
    pulsed,
    sine,
    sweep,
)

__all__ = ["CATALOG", "Described", "as_steps", "generate"]

_SEED = 20261128
"""Of the whole set; each recording has its own generator, so none depends on the others."""

Maker = Callable[[np.random.Generator, int], Samples]
"""Generator and number of samples → samples."""


@dataclass(frozen=True)
class Described:
    """A recording of the set.

    Attributes:
        kind: silence, hum, noise, music, applause, tones, breath or knocks
        level_db: RMS below full scale; None: as the maker gives it
    """

    kind: str
    name: str
    duration_s: float
    level_db: float | None
    make: Maker


def _zeros(random: np.random.Generator, count: int) -> Samples:
    return np.zeros(count, np.float32)


def _dither(random: np.random.Generator, count: int) -> Samples:
    """What a converter writes of silence: the lowest bit, at random."""
    return (random.integers(-1, 2, count) / FULL_SCALE).astype(np.float32)


def _noise(exponent: float) -> Maker:
    return lambda random, count: colored(random.standard_normal(count).astype(np.float32), exponent)


def _hum(base_hz: float) -> Maker:
    return lambda random, count: hum(random, count, base_hz)


def _noisy_hum(random: np.random.Generator, count: int) -> Samples:
    return hum(random, count, 50) + np.float32(0.3) * _noise(0.5)(random, count)


def _sine(*frequencies_hz: float) -> Maker:
    return lambda random, count: sine(count, *frequencies_hz)


def _beeps(frequency_hz: float, on_s: float, off_s: float) -> Maker:
    return lambda random, count: pulsed(sine(count, frequency_hz), on_s, off_s)


def _siren(random: np.random.Generator, count: int) -> Samples:
    return sweep(count, 400, 1600, 4)


def _applause(people: int) -> Maker:
    return lambda random, count: applause(random, count, people)


def _rounds(random: np.random.Generator, count: int) -> Samples:
    """Applause that stops and starts again."""
    return pulsed(applause(random, count, 60), 9, 3)


def _breath(period_s: float) -> Maker:
    return lambda random, count: breath(random, count, period_s)


CATALOG = (
    Described("silence", "digital-10s", 10, None, _zeros),
    Described("silence", "digital-30s", 30, None, _zeros),
    Described("silence", "digital-60s", 60, None, _zeros),
    Described("silence", "lowest-bit", 30, None, _dither),
    Described("hum", "mains-50hz", 30, -25, _hum(50)),
    Described("hum", "mains-60hz", 20, -35, _hum(60)),
    Described("hum", "buzz-100hz", 45, -20, _hum(100)),
    Described("hum", "mains-with-noise", 30, -40, _noisy_hum),
    Described("noise", "white-faint", 30, -60, _noise(0)),
    Described("noise", "white-loud", 15, -20, _noise(0)),
    Described("noise", "pink-medium", 45, -35, _noise(0.5)),
    Described("noise", "pink-loud", 20, -15, _noise(0.5)),
    Described("noise", "brown-loud", 30, -25, _noise(1)),
    Described("noise", "brown-faint", 60, -50, _noise(1)),
    Described("music", "plucked-string", 30, -20, music.melody),
    Described("music", "piano-chords", 45, -25, music.chords),
    Described("music", "organ", 25, -20, music.organ),
    Described("music", "drums", 20, -23, music.drums),
    Described("music", "band", 60, -20, music.band),
    Described("applause", "few-people", 15, -28, _applause(5)),
    Described("applause", "small-hall", 30, -22, _applause(40)),
    Described("applause", "large-hall", 45, -18, _applause(200)),
    Described("applause", "rounds", 60, -22, _rounds),
    Described("tones", "a-440hz", 10, -20, _sine(440)),
    Described("tones", "dial-tone", 20, -20, _sine(350, 440)),
    Described("tones", "beeps-1khz", 30, -22, _beeps(1000, 0.3, 0.7)),
    Described("tones", "busy-425hz", 30, -25, _beeps(425, 0.5, 0.5)),
    Described("tones", "siren", 15, -20, _siren),
    Described("breath", "calm", 30, -45, _breath(4.5)),
    Described("breath", "asleep", 60, -38, _breath(5.5)),
    Described("breath", "fast", 20, -32, _breath(1.8)),
    Described("breath", "close-to-the-microphone", 45, -25, _breath(3.5)),
    Described("knocks", "few", 15, -42, knocks),
    Described("knocks", "some", 30, -37, knocks),
    Described("knocks", "many", 45, -32, knocks),
)
"""In the order in which they are written."""


def generate(described: Described) -> NDArray[np.int16]:
    """The samples of a recording, 16-bit, 16 kHz mono; the same every time."""
    place = CATALOG.index(described)
    random = np.random.default_rng([_SEED, place])
    samples = described.make(random, round(described.duration_s * SAMPLE_RATE))
    if described.level_db is not None:
        samples = at_level(samples, described.level_db)
    return as_steps(samples)


def as_steps(samples: Samples) -> NDArray[np.int16]:
    """Samples from -1 to 1 as 16-bit steps."""
    steps = np.round(samples * FULL_SCALE).clip(-FULL_SCALE, FULL_SCALE - 1)
    return steps.astype(np.int16)
