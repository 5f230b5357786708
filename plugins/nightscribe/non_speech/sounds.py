"""Sounds that are no speech, synthesized.

Samples are 16 kHz mono float32, shape (samples,), with an RMS of 1 unless a function says
otherwise. Equal generators give equal samples.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from nightscribe.audio.samples import SAMPLE_RATE

__all__ = [
    "Samples",
    "applause",
    "at_level",
    "breath",
    "colored",
    "hum",
    "knocks",
    "pulsed",
    "seconds",
    "sine",
    "sweep",
    "tones",
    "unit",
]

Samples = NDArray[np.float32]

_CLAPS = 8
"""Different sounds of clapping hands."""


def seconds(count: int) -> Samples:
    """The time of each sample, s."""
    return np.arange(count, dtype=np.float32) / np.float32(SAMPLE_RATE)


def unit(samples: NDArray[Any]) -> Samples:
    """The samples at an RMS of 1; they must not all be zero."""
    return np.asarray(samples / np.sqrt(np.mean(np.square(samples))), np.float32)


def at_level(samples: NDArray[Any], level_db: float) -> Samples:
    """The samples at an RMS of `level_db` dB below full scale, cut at full scale."""
    return np.asarray(np.clip(unit(samples) * np.float32(10 ** (level_db / 20)), -1, 1), np.float32)


def colored(white: Samples, exponent: float) -> Samples:
    """White noise with the amplitude of its frequencies lowered by this power of the frequency.

    Args:
        exponent: 0 for white, 0.5 for pink, 1 for brown noise: 0, 3 or 6 dB less per octave
    """
    count = len(white)
    spectrum = np.fft.rfft(white)
    frequencies = np.arange(len(spectrum), dtype=np.float32)
    frequencies[0] = 1
    # Flat below 50 Hz; otherwise the lowest few bins would dominate brown noise.
    spectrum *= np.maximum(frequencies, 50 * count / SAMPLE_RATE) ** -exponent
    return unit(np.fft.irfft(spectrum, count))


def hum(random: np.random.Generator, count: int, base_hz: float) -> Samples:
    """Mains or motor hum: a low tone and its harmonics."""
    time = seconds(count)
    total = np.zeros(count, np.float32)
    for harmonic in range(1, int(random.integers(2, 9))):
        phase = random.uniform(0, 2 * np.pi)
        total += (
            random.uniform(0, 1)
            / harmonic
            * np.sin(2 * np.pi * base_hz * harmonic * time + phase).astype(np.float32)
        )
    return unit(total + 1e-6)


def tones(random: np.random.Generator, count: int) -> Samples:
    """Beeps, chords, sweeps and warbles, steady or in bursts."""
    time = seconds(count)
    total = np.zeros(count, np.float32)
    for _ in range(int(random.integers(1, 5))):
        start = np.exp(random.uniform(np.log(80), np.log(5000)))
        end = start if random.random() < 0.7 else np.exp(random.uniform(np.log(80), np.log(5000)))
        period = random.uniform(0.5, 8)
        frequency = start + (end - start) * (time / period % 1)
        total += np.sin(2 * np.pi * np.cumsum(frequency) / SAMPLE_RATE).astype(np.float32)
    if random.random() < 0.5:
        total *= time * random.uniform(0.3, 4) % 1 < random.uniform(0.2, 0.8)
    return unit(total + 1e-6)


def sine(count: int, *frequencies_hz: float) -> Samples:
    """Steady tones together."""
    time = seconds(count)
    return unit(sum(np.sin(2 * np.pi * frequency * time) for frequency in frequencies_hz))


def pulsed(sound: Samples, on_s: float, off_s: float) -> Samples:
    """A sound that is on and off in turn, not scaled; it starts and ends within 5 ms each time."""
    place = seconds(len(sound)) % (on_s + off_s)
    edge_s = 0.005
    gate = np.clip(np.minimum(place, on_s - place) / edge_s, 0, 1)
    return np.asarray(sound * gate, np.float32)


def sweep(count: int, low_hz: float, high_hz: float, period_s: float) -> Samples:
    """A siren: a tone that rises and falls, once per period."""
    place = seconds(count) / period_s
    octaves = np.log2(high_hz / low_hz) * (0.5 - 0.5 * np.cos(2 * np.pi * place))
    return unit(np.sin(2 * np.pi * np.cumsum(low_hz * 2**octaves) / SAMPLE_RATE))


def knocks(random: np.random.Generator, count: int) -> Samples:
    """Clicks, knocks and decaying bursts of noise."""
    total = np.zeros(count, np.float32)
    for _ in range(int(random.integers(2, 4 + count // SAMPLE_RATE))):
        length = int(random.uniform(0.005, 0.3) * SAMPLE_RATE)
        start = int(random.integers(0, max(1, count - length)))
        burst = random.standard_normal(length) * np.exp(-np.linspace(0, 6, length))
        total[start : start + length] += burst[: count - start].astype(np.float32)
    return unit(total + 1e-6)


def applause(random: np.random.Generator, count: int, people: int) -> Samples:
    """Applause: each person claps about four times a second, at an own distance."""
    length_s = count / SAMPLE_RATE
    claps = np.zeros((_CLAPS, count), np.float32)
    for person in range(people):
        period_s = random.uniform(0.18, 0.32)
        times = np.arange(random.uniform(0, period_s), length_s - 0.05, period_s)
        times = np.clip(times + random.normal(0, 0.015, len(times)), 0, length_s - 0.05)
        loudness = random.uniform(0.2, 1) * random.uniform(0.6, 1, len(times))
        np.add.at(claps[person % _CLAPS], (times * SAMPLE_RATE).astype(int), loudness)
    size = count + SAMPLE_RATE
    total = np.zeros(count)
    for row in claps:
        spectrum = np.fft.rfft(row, size) * np.fft.rfft(_clap(random), size)
        total += np.fft.irfft(spectrum, size)[:count]
    return unit(total)


def _clap(random: np.random.Generator) -> Samples:
    """One clap: a burst of noise around 1 to 2.5 kHz, with some room behind it."""
    time = seconds(SAMPLE_RATE // 4)
    burst = random.standard_normal(len(time)) * np.exp(-time / random.uniform(0.004, 0.009))
    room = 0.08 * random.standard_normal(len(time)) * np.exp(-time / 0.06)
    return _band(burst + room, random.uniform(1000, 2500), 1.2)


def breath(random: np.random.Generator, count: int, period_s: float) -> Samples:
    """Someone who breathes in and out, once per period."""
    total = np.zeros(count, np.float32)
    start_s = random.uniform(0, 0.5)
    while start_s < count / SAMPLE_RATE:
        for share, centre_hz, loudness in ((0.35, 1800, 1.0), (0.45, 900, 0.6)):
            length = int(share * period_s * random.uniform(0.85, 1.1) * SAMPLE_RATE)
            noise = _band(random.standard_normal(length), centre_hz * random.uniform(0.8, 1.2), 0.8)
            shape = np.sin(np.pi * np.linspace(0, 1, length) ** 0.7) ** 2
            first = int(start_s * SAMPLE_RATE)
            part = (loudness * noise * shape)[: max(count - first, 0)]
            total[first : first + len(part)] += part.astype(np.float32)
            start_s += length / SAMPLE_RATE + 0.05 * period_s
        start_s += 0.1 * period_s * random.uniform(0.5, 1.5)
    return unit(total)


def _band(samples: NDArray[Any], centre_hz: float, octaves: float) -> Samples:
    """Frequencies around a centre; half as many octaves away, the amplitude is 0.6 of that."""
    spectrum = np.fft.rfft(samples)
    frequencies = np.maximum(np.fft.rfftfreq(len(samples), 1 / SAMPLE_RATE), 1)
    spectrum *= np.exp(-0.5 * (np.log2(frequencies / centre_hz) / (octaves / 2)) ** 2)
    return unit(np.fft.irfft(spectrum, len(samples)))
