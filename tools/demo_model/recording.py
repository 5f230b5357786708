"""Recordings that are longer than a window, from the grammar, with their true texts."""

import random
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tools.demo_model.corpus import SAMPLE_RATE, Utterance, speak
from tools.demo_model.grammar import Sentence, sentences
from tools.demo_model.voices import draw_voice

LEVEL = 10 ** (-3 / 20)  # of the speech, -3 dB
BACKGROUND = 10 ** (-62 / 20)  # of the background noise, -62 dB


@dataclass(frozen=True)
class Recording:
    """16 kHz mono samples, and the utterances in it: (start in s, end in s, utterance)."""

    samples: NDArray[np.float32]
    utterances: list[tuple[float, float, Utterance]]

    def text(self, language: str) -> str:
        """The true text: in its own language, or its English translation."""
        return joined([one.sentence for _, _, one in self.utterances], language)


def joined(texts: Sequence[Sentence], language: str) -> str:
    """Sentences in a language as one text."""
    return ("" if language == "zh" else " ").join(text[language] for text in texts)


def recording(language: str, seconds: float, seed: int) -> Recording:
    """A recording of at least `seconds`: held-out sentences in one held-out voice.

    Pauses between sentences are 0.5 to 1.0 s, so a window of 30 s has about eight sentences.
    """
    pick = random.Random(f"recording {language} {seed}")
    arrays = np.random.default_rng(pick.getrandbits(64))
    voice = draw_voice(language, pick, held_out=True)
    source = sentences(held_out=True, seed=pick.getrandbits(32))
    clock = pick.uniform(0.2, 0.6)
    placed: list[tuple[float, float, Utterance]] = []
    while clock < seconds:
        one = speak(next(source), language, voice)
        length = len(one.samples) / SAMPLE_RATE
        placed.append((clock, clock + length, one))
        clock += length + pick.uniform(0.5, 1.0)
    samples = arrays.standard_normal(int(clock * SAMPLE_RATE)).astype(np.float32) * BACKGROUND
    for start, _, one in placed:
        at = round(start * SAMPLE_RATE)
        samples[at : at + len(one.samples)] += one.samples.astype(np.float32) / 32768 * LEVEL
    return Recording(samples, placed)
