"""Sounds without speech, and the effects of rooms, telephone lines and levels on speech.

All functions take a random generator. Samples are 16 kHz mono float32, shape (samples,).
"""

import numpy as np

from nightscribe.non_speech.sounds import Samples, colored, hum, knocks, tones, unit
from tools.demo_model.corpus import SAMPLE_RATE


def colored_noise(random: np.random.Generator, count: int) -> Samples:
    """Noise whose power falls by 0, 3 or 6 dB per octave (white, pink, brown), with an RMS of 1."""
    white = random.standard_normal(count).astype(np.float32)
    return colored(white, random.choice([0, 0.5, 1.0]))


def any_hum(random: np.random.Generator, count: int) -> Samples:
    """Mains or motor hum of any frequency, with an RMS of 1."""
    return hum(random, count, random.choice([50, 60, 100, 120, random.uniform(40, 240)]))


def no_speech(random: np.random.Generator, count: int) -> Samples:
    """A random sound without speech, from digital silence to -6 dB."""
    kind = random.choice(
        [np.zeros, colored_noise, any_hum, tones, knocks], p=[0.12, 0.33, 0.25, 0.2, 0.1]
    )
    if kind is np.zeros:
        return np.zeros(count, np.float32)
    sound = kind(random, count)
    if random.random() < 0.3:
        sound = unit(sound + random.uniform(0.01, 1) * colored_noise(random, count))
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
        kind = colored_noise if choice < 0.7 else any_hum if choice < 0.9 else tones
        if kind is tones:
            ratio = max(ratio, 18)
        background = kind(random, len(speech))
        speech = speech + background * (power * 10 ** (-ratio / 20))
    if random.random() < 0.2:
        speech = limit_band(random, speech)
    return (speech * 10 ** (random.uniform(-26, 4) / 20)).astype(np.float32).clip(-1, 1)
