"""Difficult conditions of a recording: telephone, far microphone, voices or music behind speech.

Samples are 16 kHz mono float32, shape (samples,).
"""

import random

import numpy as np
from numpy.typing import NDArray

from tools.demo_model.corpus import SAMPLE_RATE, resampled, speak
from tools.demo_model.grammar import sentences
from tools.demo_model.sounds import Samples, colored_noise
from tools.demo_model.voices import draw_voice

_MU = 255  # of the µ-law of G.711
_CHORDS = ((0, 4, 7), (9, 12, 16), (5, 9, 12), (7, 11, 14))  # C, Am, F, G: semitones above C
_C3_HZ = 130.8


def rms_of_speech(samples: NDArray[np.floating]) -> float:
    """The RMS of the samples above -60 dB, so that pauses do not count."""
    return float(np.sqrt(np.mean(np.square(samples[np.abs(samples) > 1e-3]))))


def mixed(speech: Samples, background: Samples, ratio_db: float) -> Samples:
    """Speech and a background that is `ratio_db` below it."""
    scale = rms_of_speech(speech) / rms_of_speech(background) * 10 ** (-ratio_db / 20)
    return (speech + background * scale).astype(np.float32)


def telephone(arrays: np.random.Generator, speech: Samples, *, ratio_db: float) -> Samples:
    """A telephone line: 300 to 3400 Hz, 8-bit µ-law at 8 kHz, noise `ratio_db` below the speech.

    The noise is in the band of the line, so all of it counts.
    """
    line = _band(mixed(_band(speech), _band(colored_noise(arrays, len(speech))), ratio_db))
    narrow = resampled(line, SAMPLE_RATE, 8000).clip(-1, 1)
    companded = np.sign(narrow) * np.log1p(_MU * np.abs(narrow)) / np.log1p(_MU)
    stepped = np.round(companded * 127) / 127
    expanded = np.sign(stepped) * np.expm1(np.abs(stepped) * np.log1p(_MU)) / _MU
    return resampled(expanded.astype(np.float32), 8000, SAMPLE_RATE)


def _band(samples: Samples) -> Samples:
    spectrum = np.fft.rfft(samples)
    frequencies = np.linspace(0, SAMPLE_RATE / 2, len(spectrum))
    spectrum[(frequencies < 300) | (frequencies > 3400)] = 0
    return np.fft.irfft(spectrum, len(samples)).astype(np.float32)


def far_microphone(
    arrays: np.random.Generator,
    speech: Samples,
    *,
    decay_s: float,
    direct_db: float,
    ratio_db: float,
    level_db: float,
) -> Samples:
    """A microphone at the other end of a room.

    Args:
        decay_s: the time in which the reverberation falls by 60 dB (RT60)
        direct_db: the energy of the direct sound relative to that of the reverberation
        ratio_db: how far the noise of the room is below the speech
        level_db: the level at which the microphone records it
    """
    length = int(decay_s * SAMPLE_RATE)
    tail = arrays.standard_normal(length) * 10 ** (-3 * np.arange(length) / length)
    tail[: int(0.005 * SAMPLE_RATE)] = 0  # the first reflection comes later than the direct sound
    response = tail / np.sqrt(np.sum(np.square(tail))) * 10 ** (-direct_db / 20)
    response[0] = 1
    size = 1 << (len(speech) + length - 1).bit_length()
    spectrum = np.fft.rfft(speech, size) * np.fft.rfft(response, size)
    room = np.fft.irfft(spectrum, size)[: len(speech)].astype(np.float32)
    room *= rms_of_speech(speech) / rms_of_speech(room)
    heard = mixed(room, colored_noise(arrays, len(speech)), ratio_db)
    return (heard * 10 ** (level_db / 20)).astype(np.float32)


def babble(language: str, pick: random.Random, count: int) -> Samples:
    """Four other people who talk at the same time, in the sentences and voices of training."""
    total = np.zeros(count, np.float32)
    source = sentences(held_out=False, seed=pick.getrandbits(32))
    for _ in range(4):
        voice = draw_voice(language, pick, held_out=False)
        at = -int(pick.uniform(0, 2) * SAMPLE_RATE)  # amid a sentence when the clip begins
        while at < count:
            said = speak(next(source), language, voice).samples.astype(np.float32) / 32768
            heard = said[max(0, -at) : count - at]
            total[max(0, at) : max(0, at) + len(heard)] += heard
            at += len(said) + int(pick.uniform(0.1, 0.5) * SAMPLE_RATE)
    return total


def music(arrays: np.random.Generator, count: int) -> Samples:
    """A melody over broken chords, bass and a drum, at 90 to 130 beats per minute."""
    beat_s = 60 / arrays.uniform(90, 130)
    key = float(2 ** (arrays.integers(-5, 6) / 12)) * _C3_HZ
    total = np.zeros(count + SAMPLE_RATE * 3, np.float32)
    beats = int(count / SAMPLE_RATE / beat_s) + 1
    for beat in range(beats):
        chord = _CHORDS[beat // 4 % 4]
        at = int(beat * beat_s * SAMPLE_RATE)
        notes = [(chord[0] - 12, 0.0, 0.6), (chord[1], 0.0, 0.3), (chord[2], 0.5, 0.3)]
        notes += [(int(arrays.choice(chord)) + 12, half, 0.5) for half in (0.0, 0.5)]
        for semitone, half, volume in notes:
            note = _note(key * 2 ** (semitone / 12), beat_s * 1.5) * volume
            start = at + int(half * beat_s * SAMPLE_RATE)
            total[start : start + len(note)] += note
        hit = arrays.standard_normal(int(0.08 * SAMPLE_RATE)) * np.linspace(1, 0, 1280) ** 3
        total[at : at + len(hit)] += (0.4 * hit).astype(np.float32)
    return total[:count]


def _note(frequency: float, seconds: float) -> Samples:
    time = np.arange(int(seconds * SAMPLE_RATE), dtype=np.float32) / SAMPLE_RATE
    partials = [np.sin(2 * np.pi * frequency * n * time) / n**1.5 for n in range(1, 9)]
    return (sum(partials) * np.exp(-4 * time / seconds)).astype(np.float32)
