"""Sounds without speech, and the effects of rooms, telephone lines and levels on speech.

All functions take a random generator. Samples are 16 kHz mono float32, shape (samples,).
"""

import numpy as np
from numpy.typing import NDArray

from tools.demo_model.corpus import SAMPLE_RATE

Samples = NDArray[np.float32]


def colored_noise(random: np.random.Generator, count: int) -> Samples:
    """Noise whose power falls by 0, 3 or 6 dB per octave (white, pink, brown), with an RMS of 1."""
    spectrum = np.fft.rfft(random.standard_normal(count).astype(np.float32))
    frequencies = np.arange(len(spectrum), dtype=np.float32)
    frequencies[0] = 1
    # Flat below 50 Hz; otherwise the lowest few bins would dominate brown noise.
    spectrum *= np.maximum(frequencies, 50 * count / SAMPLE_RATE) ** -random.choice([0, 0.5, 1.0])
    return _unit(np.fft.irfft(spectrum, count))


def hum(random: np.random.Generator, count: int) -> Samples:
    """Mains or motor hum: a low tone and its harmonics, with an RMS of 1."""
    base = random.choice([50, 60, 100, 120, random.uniform(40, 240)])
    time = np.arange(count, dtype=np.float32) / SAMPLE_RATE
    total = np.zeros(count, np.float32)
    for harmonic in range(1, int(random.integers(2, 9))):
        phase = random.uniform(0, 2 * np.pi)
        total += (
            random.uniform(0, 1)
            / harmonic
            * np.sin(2 * np.pi * base * harmonic * time + phase).astype(np.float32)
        )
    return _unit(total + 1e-6)


def tones(random: np.random.Generator, count: int) -> Samples:
    """Beeps, chords, sweeps and warbles, steady or in bursts, with an RMS of 1."""
    time = np.arange(count, dtype=np.float32) / SAMPLE_RATE
    total = np.zeros(count, np.float32)
    for _ in range(int(random.integers(1, 5))):
        start = np.exp(random.uniform(np.log(80), np.log(5000)))
        end = start if random.random() < 0.7 else np.exp(random.uniform(np.log(80), np.log(5000)))
        period = random.uniform(0.5, 8)
        frequency = start + (end - start) * (time / period % 1)
        total += np.sin(2 * np.pi * np.cumsum(frequency) / SAMPLE_RATE).astype(np.float32)
    if random.random() < 0.5:
        total *= time * random.uniform(0.3, 4) % 1 < random.uniform(0.2, 0.8)
    return _unit(total + 1e-6)


def knocks(random: np.random.Generator, count: int) -> Samples:
    """Clicks, knocks and decaying bursts of noise, with an RMS of 1."""
    total = np.zeros(count, np.float32)
    for _ in range(int(random.integers(2, 4 + count // SAMPLE_RATE))):
        length = int(random.uniform(0.005, 0.3) * SAMPLE_RATE)
        start = int(random.integers(0, max(1, count - length)))
        burst = random.standard_normal(length) * np.exp(-np.linspace(0, 6, length))
        total[start : start + length] += burst[: count - start].astype(np.float32)
    return _unit(total + 1e-6)


def no_speech(random: np.random.Generator, count: int) -> Samples:
    """A random sound without speech, from digital silence to -6 dB."""
    kind = random.choice(
        [np.zeros, colored_noise, hum, tones, knocks], p=[0.12, 0.33, 0.25, 0.2, 0.1]
    )
    if kind is np.zeros:
        return np.zeros(count, np.float32)
    sound = kind(random, count)
    if random.random() < 0.3:
        sound = _unit(sound + random.uniform(0.01, 1) * colored_noise(random, count))
    level = 10 ** (random.uniform(-80, -6) / 20)
    return (sound * level).astype(np.float32)


def add_reverberation(random: np.random.Generator, samples: Samples) -> Samples:
    """Add reverberation of 0.1 to 0.5 s: exponentially decaying noise after the direct sound."""
    seconds = random.uniform(0.1, 0.5)
    length = int(seconds * SAMPLE_RATE)
    tail = random.standard_normal(length) * np.exp(-6.9 * np.arange(length) / length)
    response = (tail * random.uniform(0.02, 0.08)).astype(np.float32)
    response[: int(0.003 * SAMPLE_RATE)] = 0
    response[0] = 1
    size = 1 << (len(samples) + length - 1).bit_length()
    spectrum = np.fft.rfft(samples, size) * np.fft.rfft(response, size)
    return np.fft.irfft(spectrum, size)[: len(samples)].astype(np.float32)


def limit_band(random: np.random.Generator, samples: Samples) -> Samples:
    """Limit the band as a telephone (300 to 3400 Hz) or a cheap recorder (no highs) does."""
    spectrum = np.fft.rfft(samples)
    frequencies = np.linspace(0, SAMPLE_RATE / 2, len(spectrum))
    if random.random() < 0.6:
        low, high = random.uniform(200, 350), random.uniform(3200, 4000)
    else:
        low, high = 0.0, random.uniform(3500, 7500)
    spectrum[(frequencies < low) | (frequencies > high)] *= 0.003
    return np.fft.irfft(spectrum, len(samples)).astype(np.float32)


def add_recording_effects(random: np.random.Generator, speech: Samples) -> Samples:
    """Speech as in an archive: with random room, line, background noise and level."""
    power = float(np.sqrt(np.mean(speech[np.abs(speech) > 1e-3] ** 2))) if speech.any() else 0.1
    if random.random() < 0.25:
        speech = add_reverberation(random, speech)
    if random.random() < 0.6:
        ratio = random.uniform(8, 45)
        choice = random.random()
        kind = colored_noise if choice < 0.7 else hum if choice < 0.9 else tones
        if kind is tones:
            ratio = max(ratio, 18)
        background = kind(random, len(speech))
        speech = speech + background * (power * 10 ** (-ratio / 20))
    if random.random() < 0.2:
        speech = limit_band(random, speech)
    return (speech * 10 ** (random.uniform(-26, 4) / 20)).astype(np.float32).clip(-1, 1)


def _unit(samples: NDArray[np.floating]) -> Samples:
    """Scale to an RMS of 1."""
    return (samples / np.sqrt(np.mean(np.square(samples)))).astype(np.float32)
