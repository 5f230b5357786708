"""Windows of audio: utterances with pauses and sounds, and the position of each.

A window has the encoder's 50 positions per second. A short window has a random offset within the 30
seconds of the model. Without the offset, the model would only learn the first positions and fail on
long windows.
"""

import random
from dataclasses import dataclass, field

import numpy as np
import torch
from numpy.typing import NDArray

from tools.demo_model.corpus import SAMPLE_RATE, Corpus, Utterance
from tools.demo_model.features import timbre, window_features
from tools.demo_model.lexicon import LANGUAGES
from tools.demo_model.sounds import add_recording_effects, colored_noise, no_speech

POSITION = SAMPLE_RATE // 50  # samples
ALL_POSITIONS = 1500  # of 30 s
_FADE = 80  # samples of the fade-in of an utterance
_SHARES = [3 if language == "zh" else 2 for language in LANGUAGES]  # more of the hardest language
_VISIBLE = 5  # positions of a cut utterance that suffice to notice its start


@dataclass(frozen=True)
class Placed:
    """An utterance in a window. `start` and `end` are samples; `end` may be after the window."""

    utterance: Utterance
    index: int
    start: int

    @property
    def end(self) -> int:
        return self.start + len(self.utterance.samples)


@dataclass
class Window:
    """The content of a window. Positions are relative to its start, which is at `offset`."""

    language: str
    offset: int
    positions: int
    placed: list[Placed] = field(default_factory=list)
    ended: bool = False
    """Whether the recording ends in the window; the rest is padding."""
    samples: NDArray[np.float32] = field(default_factory=lambda: np.zeros(0, np.float32))
    features: torch.Tensor = field(default_factory=lambda: torch.zeros(0))

    @property
    def complete(self) -> list[Placed]:
        return [one for one in self.placed if one.end <= self.positions * POSITION]

    @property
    def cut(self) -> Placed | None:
        """The utterance that the end of the window cuts, if enough of it is in the window."""
        end = self.positions * POSITION
        for one in self.placed:
            if one.end > end and end - one.start >= _VISIBLE * POSITION:
                return one
        return None


class Composer:
    """Composes windows from a corpus, each from its own seed."""

    def __init__(self, corpus: Corpus) -> None:
        self.corpus = corpus
        self._by_variant: dict[tuple[str, str], list[int]] = {}
        for language, indices in corpus.by_language.items():
            for index in indices:
                variant = corpus[index].voice.name.partition("+")[2]
                self._by_variant.setdefault((language, variant), []).append(index)
        self._shortest = {
            speaker: min(len(corpus[index].samples) for index in indices)
            for speaker, indices in self._by_variant.items()
        }
        self._variants = {
            language: sorted(v for known, v in self._by_variant if known == language)
            for language in LANGUAGES
        }

    def window(self, seed: str, positions: int) -> Window:
        """Compose a window of this length: full, ended early, sparse, or without speech."""
        pick = random.Random(seed)
        arrays = np.random.default_rng(pick.getrandbits(64))
        whole = positions == ALL_POSITIONS
        offset = 0 if whole or pick.random() < 0.4 else pick.randint(0, ALL_POSITIONS - positions)
        window = Window(pick.choices(LANGUAGES, _SHARES)[0], offset, positions)
        kinds = ("full", "ended", "sparse", "none")
        kind = pick.choices(kinds, (54, 26, 9, 11) if whole else (52, 33, 5, 10))[0]
        window.ended = kind == "ended" or (kind != "full" and pick.random() < 0.5)
        count = positions * POSITION
        if kind == "none":
            window.samples = no_speech(arrays, count)
        else:
            self._place(window, pick, sparse=kind == "sparse")
            window.samples = self._mix(window, pick, arrays)
        content = count
        if window.ended:
            spoken = max((one.end for one in window.placed), default=0)
            content = min(count, spoken + int(pick.uniform(0.0, 1.0) * SAMPLE_RATE))
            if kind == "none":
                content = int(count * pick.uniform(0.05, 1))
            window.samples[content:] = 0
        highest_raise = 2.5 if kind == "none" else 1
        window.features = window_features(
            window.samples,
            -(-content // (POSITION // 2)),
            floor_raise=0.0 if pick.random() < 0.5 else pick.uniform(0, highest_raise),
            padded_with_floor=pick.random() < 0.4,
            gains=timbre(arrays) if pick.random() < 0.5 else None,
        )
        return window

    def _place(self, window: Window, pick: random.Random, *, sparse: bool) -> None:
        count = window.positions * POSITION
        language = window.language
        pool = self.corpus.by_language[language]
        if pick.random() < 0.6:  # one speaker
            speaker = language, pick.choice(self._variants[language])
            if self._shortest[speaker] <= count:
                pool = self._by_variant[speaker]
        wanted = 99
        if window.ended:
            wanted = pick.choice((1, 1, 1, 2, 2, 3, 4, 6))
        lead = pick.uniform(0, 1.0) if pick.random() < 0.75 else 0.0
        if sparse:
            lead = pick.uniform(0, 0.4 * count / SAMPLE_RATE)
        short_pauses = pick.random() < 0.3
        start = int(lead * SAMPLE_RATE)
        for _ in range(wanted):
            index = pick.choice(pool)
            one = Placed(self.corpus[index], index, start)
            # The first utterance must fit, and if the recording ends here, every one must.
            while one.end > count and (window.ended or not window.placed):
                if window.placed:
                    return
                index = pick.choice(pool)
                room = count - len(self.corpus[index].samples)
                if room >= 0:
                    one = Placed(self.corpus[index], index, min(start, room))
            window.placed.append(one)
            pause = pick.uniform(0.2, 0.6) if short_pauses else pick.uniform(0.35, 1.5)
            if sparse and pick.random() < 0.5:
                pause = pick.uniform(1, 12)
            start = one.end + int(pause * SAMPLE_RATE)
            if start >= count:
                return

    def _mix(
        self, window: Window, pick: random.Random, arrays: np.random.Generator
    ) -> NDArray[np.float32]:
        count = window.positions * POSITION
        speech = np.zeros(count, np.float32)
        for one in window.placed:
            part = one.utterance.samples[: count - one.start].astype(np.float32) / 32768
            ramp = np.minimum(1, np.arange(len(part)) / _FADE)
            speech[one.start : one.start + len(part)] += (
                part * ramp * 10 ** (pick.uniform(-6, 0) / 20)
            )
        if pick.random() < 0.12:  # a sound in the pauses
            pauses = np.ones(count, bool)
            for one in window.placed:
                pauses[one.start : one.end] = False
            speech += pauses * no_speech(arrays, count)
        if pick.random() < 0.1:
            speech += 10 ** (pick.uniform(-70, -50) / 20) * colored_noise(arrays, count)
        return add_recording_effects(arrays, speech)
