"""Music without a voice, synthesized: notes with harmonics, and drums.

Samples are 16 kHz mono float32, shape (samples,), with an RMS of 1.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from nightscribe.audio.samples import SAMPLE_RATE
from nightscribe.non_speech.sounds import Samples, seconds, unit

__all__ = ["band", "chords", "drums", "melody", "organ"]

_HARMONICS = 8
_BEAT_S = 0.5
_SCALE = (0, 2, 4, 7, 9)
"""Major pentatonic, half-tones above the key: any two notes sound well together."""

_PROGRESSION = ((0, 4, 7), (9, 12, 16), (5, 9, 12), (7, 11, 14))
"""I, vi, IV, V of a major key; half-tones above it."""


def melody(random: np.random.Generator, count: int, key_hz: float = 261.6) -> Samples:
    """A plucked string that plays notes of half a beat or a beat."""
    total = np.zeros(count, np.float32)
    start_s = 0.0
    while start_s < count / SAMPLE_RATE:
        halftones = float(random.choice(_SCALE)) + 12 * float(random.integers(0, 2))
        _add(total, start_s, _plucked(key_hz * 2 ** (halftones / 12), 1.5))
        start_s += float(random.choice([_BEAT_S / 2, _BEAT_S]))
    return unit(total)


def chords(random: np.random.Generator, count: int, key_hz: float = 130.8) -> Samples:
    """A piano-like chord on every other beat, with small differences of touch."""
    total = np.zeros(count, np.float32)
    for number in range(int(count / SAMPLE_RATE / (2 * _BEAT_S)) + 1):
        for halftones in _PROGRESSION[number // 2 % len(_PROGRESSION)]:
            note = _plucked(key_hz * 2 ** (halftones / 12), 2.5)
            start_s = 2 * _BEAT_S * number + random.uniform(0, 0.02)
            _add(total, start_s, np.float32(random.uniform(0.7, 1)) * note)
    return unit(total)


def organ(random: np.random.Generator, count: int, key_hz: float = 130.8) -> Samples:
    """Held chords of four beats with a slow tremolo."""
    total = np.zeros(count, np.float32)
    length_s = 8 * _BEAT_S
    for number in range(int(count / SAMPLE_RATE / length_s) + 1):
        time = seconds(int((length_s + 0.2) * SAMPLE_RATE))
        shape = np.clip(np.minimum(time, time[-1] - time) / 0.1, 0, 1)
        for halftones in _PROGRESSION[number % len(_PROGRESSION)]:
            stops = [key_hz * octave * 2 ** (halftones / 12) for octave in (1, 2, 4)]
            note = sum(
                np.sin(2 * np.pi * stop * time + random.uniform(0, 6)) / (place + 1)
                for place, stop in enumerate(stops)
            )
            _add(total, number * length_s, (note * shape).astype(np.float32))
    return unit(total * (1 + 0.15 * np.sin(2 * np.pi * 5.5 * seconds(count))))


def drums(random: np.random.Generator, count: int) -> Samples:
    """Bass drum, snare drum and hi-hat in four-four time."""
    total = np.zeros(count, np.float32)
    for step in range(int(count / SAMPLE_RATE / (_BEAT_S / 2)) + 1):
        struck: Sequence[Samples] = [_noise_hit(random, 0.03) * np.float32(0.3)]
        if step % 8 in (0, 3, 4):
            struck = [*struck, _bass_drum()]
        if step % 4 == 2:
            struck = [*struck, _noise_hit(random, 0.12)]
        for sound in struck:
            _add(total, step * _BEAT_S / 2, sound)
    return unit(total)


def band(random: np.random.Generator, count: int) -> Samples:
    """Melody, chords and drums together."""
    parts = melody(random, count) + 0.8 * chords(random, count) + 0.7 * drums(random, count)
    return unit(parts)


def _plucked(frequency_hz: float, length_s: float) -> Samples:
    """A note whose higher harmonics decay sooner."""
    time = seconds(int(length_s * SAMPLE_RATE))
    note = np.zeros(len(time))
    for harmonic in range(1, _HARMONICS + 1):
        if harmonic * frequency_hz < SAMPLE_RATE / 2:
            decay = np.exp(-time * (1.5 + 0.9 * harmonic))
            note += np.sin(2 * np.pi * harmonic * frequency_hz * time) * decay / harmonic
    ending = np.clip((time[-1] - time) / 0.05, 0, 1)
    note *= np.clip(time / 0.004, 0, 1) * ending
    return note.astype(np.float32)


def _bass_drum() -> Samples:
    time = seconds(SAMPLE_RATE // 4)
    phase = 2 * np.pi * (50 * time + 100 * 0.03 * (1 - np.exp(-time / 0.03)))
    return np.asarray(2 * np.sin(phase) * np.exp(-time / 0.08), np.float32)


def _noise_hit(random: np.random.Generator, decay_s: float) -> Samples:
    time = seconds(int(6 * decay_s * SAMPLE_RATE))
    return np.asarray(random.standard_normal(len(time)) * np.exp(-time / decay_s), np.float32)


def _add(total: Samples, start_s: float, sound: Samples) -> None:
    """Add a sound from a second on; what is behind the end is cut."""
    start = int(start_s * SAMPLE_RATE)
    total[start : start + len(sound)] += sound[: max(len(total) - start, 0)]
