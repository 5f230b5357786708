"""Room tone: the quietest stretch of a recording, made longer.

A room is never silent, and a model may hear words in it. A pause between words has no speech, and
everything else of the room and the microphone.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from nightscribe.audio.samples import SAMPLE_RATE

__all__ = ["STRETCH_S", "NoRoomTone", "extended", "quietest", "room_tone"]

STRETCH_S = 0.3
"""Length of the stretch: even a single read sentence nearly always has such a pause (33 of 38
recordings of LibriVox; 8 of them have one of 0.5 s)."""

LENGTH_S = 30.0
"""Length of what is made of it: Whisper's window."""

_FRAME_S = 0.02
_FADE_S = 0.05
_QUIETER_DB = 20
"""How far the stretch must be below the loud parts of the recording, to be a pause in speech."""

_SEED = 20261128


class NoRoomTone(Exception):
    """A recording has no stretch that can be taken for room tone. The message says why."""


def room_tone(samples: NDArray[np.int16]) -> NDArray[np.int16]:
    """Thirty seconds of the quietest stretch of a recording; the same every time.

    Args:
        samples: 16 kHz mono

    Raises:
        NoRoomTone: it is too short, has no pause, or its pauses are digital silence
    """
    stretch = quietest(samples)
    return extended(stretch, round(LENGTH_S * SAMPLE_RATE), np.random.default_rng(_SEED))


def quietest(samples: NDArray[np.int16]) -> NDArray[np.int16]:
    """The stretch whose loudest 20 ms are the quietest, of those without digital silence.

    Raises as above.
    """
    frame = round(_FRAME_S * SAMPLE_RATE)
    frames = samples[: len(samples) // frame * frame].reshape(-1, frame).astype(np.float64)
    energy = np.mean(frames**2, axis=1)
    length = round(STRETCH_S / _FRAME_S)
    if len(energy) < length:
        raise NoRoomTone(f"it is shorter than {STRETCH_S:g} s")
    stretches = np.lib.stride_tricks.sliding_window_view(energy, length)
    loudest = np.where(stretches.min(axis=1) > 0, stretches.max(axis=1), np.inf)
    start = int(np.argmin(loudest))
    if np.isinf(loudest[start]):
        raise NoRoomTone(f"it has digital silence in every {STRETCH_S:g} s")
    below_db = 10 * np.log10(np.percentile(energy, 95) / loudest[start])
    if below_db < _QUIETER_DB:
        raise NoRoomTone(
            f"it has no pause: its quietest {STRETCH_S:g} s are {below_db:.1f} dB below its loud "
            f"parts, and {_QUIETER_DB} dB are needed"
        )
    return samples[start * frame : (start + length) * frame]


def extended(
    stretch: NDArray[np.int16], count: int, random: np.random.Generator
) -> NDArray[np.int16]:
    """A stretch made longer: pieces of it from random places, one faded into the next.

    The fades keep the power of sounds that are not alike: the squares of both weights have the sum
    1. Pieces of different lengths from different places have no rhythm that one could hear.

    Args:
        stretch: longer than two fades
        count: samples of the result
    """
    fade = round(_FADE_S * SAMPLE_RATE)
    rise = np.sin(np.linspace(0, np.pi / 2, fade))
    source = stretch.astype(np.float64) - np.mean(stretch)  # an offset would sum up in a fade
    total = np.zeros(count + len(stretch))
    filled = 0
    while filled < count + fade:
        length = int(random.integers(len(stretch) // 2, len(stretch) + 1))
        first = int(random.integers(0, len(stretch) - length + 1))
        piece = source[first : first + length].copy()
        if filled:
            piece[:fade] *= rise
            filled -= fade
        piece[-fade:] *= rise[::-1]
        total[filled : filled + length] += piece[: len(total) - filled]
        filled += length
    return np.round(total[:count]).clip(-32768, 32767).astype(np.int16)
