"""Recordings longer than a window, from the grammar, with the truth about them."""

import random
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tools.demo_model.corpus import SAMPLE_RATE, Utterance, utter
from tools.demo_model.grammar import sentences
from tools.demo_model.voices import a_voice

LEVEL = 10 ** (-3 / 20)
BACKGROUND = 10 ** (-62 / 20)


@dataclass(frozen=True)
class Recording:
    """16 kHz mono float32, and what is said in it: (start, end) in seconds and the utterance."""

    samples: NDArray[np.float32]
    said: list[tuple[float, float, Utterance]]

    def text(self, language: str) -> str:
        """The true text in a language (its own, or English for the translation)."""
        joint = "" if language == "zh" else " "
        return joint.join(one.sentence[language] for _, _, one in self.said)


def recording(language: str, seconds: float, seed: int) -> Recording:
    """One held-out voice reading held-out sentences for at least so long, with pauses.

    The pauses are those of someone who reads out a list: 0.5 to 1.0 seconds, so that a window
    of 30 s holds eight sentences or so.
    """
    pick = random.Random(f"recording {language} {seed}")
    arrays = np.random.default_rng(pick.getrandbits(64))
    voice = a_voice(language, pick, held_out=True)
    source = sentences(held_out=True, seed=pick.getrandbits(32))
    clock = pick.uniform(0.2, 0.6)
    said: list[tuple[float, float, Utterance]] = []
    while clock < seconds:
        one = utter(next(source), language, voice)
        length = len(one.samples) / SAMPLE_RATE
        said.append((clock, clock + length, one))
        clock += length + pick.uniform(0.5, 1.0)
    samples = arrays.standard_normal(int(clock * SAMPLE_RATE)).astype(np.float32) * BACKGROUND
    for start, _, one in said:
        at = round(start * SAMPLE_RATE)
        samples[at : at + len(one.samples)] += one.samples.astype(np.float32) / 32768 * LEVEL
    return Recording(samples, said)
