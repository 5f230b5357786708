"""Clips of the sample archive that are hard to understand, each in one condition.

Each condition has one severity, of a plausible bad recording, and each language two or three
conditions.
"""

import random
from collections.abc import Callable
from dataclasses import replace
from itertools import islice

import numpy as np

from tools.demo_model.clips import Clip, Form, clip_of, spoken
from tools.demo_model.conditions import babble, far_microphone, mixed, music, telephone
from tools.demo_model.grammar import sentences
from tools.demo_model.sounds import Samples
from tools.demo_model.voices import draw_voice

TELEPHONE_NOISE_DB = 18  # below the speech, as the next three
BABBLE_DB = 25
MUSIC_DB = 10
FAR_NOISE_DB = 15
FAR_DECAY_S = 0.6
FAR_DIRECT_DB = 0  # relative to the reverberation
FAR_LEVEL_DB = -30

ACCENTS = {"en": "en-gb-scotland", "es": "ca", "ru": "ru-lv"}
"""Language → voice of espeak-ng that training does not have. A Catalan voice reads Spanish."""

FORMS = {
    "telephone": Form("wav", "pcm_s16le", 8_000, "mono", 5),
    "far microphone": Form("mp3", "libmp3lame", 22_050, "mono", 5, bit_rate=56_000),
    "babble": Form("m4a", "aac", 32_000, "mono", 5, bit_rate=64_000),
    "music": Form("ogg", "libopus", 48_000, "stereo", 5, bit_rate=64_000),
    "accent": Form("flac", "flac", 16_000, "mono", 5),
}
"""Condition → format of its clips."""

LANGUAGES = {
    "telephone": ("en", "de", "fr"),
    "far microphone": ("es", "fr", "zh"),
    "babble": ("de", "ru", "zh"),
    "music": ("es", "fr", "zh"),
    "accent": tuple(ACCENTS),
}
"""Condition → languages of its clips."""


def difficult_clips(seed: int) -> list[Clip]:
    """The clips of all conditions, each of five held-out sentences in a held-out voice."""
    return [
        _clip(condition, language, random.Random(f"{seed} {condition} {language}"))
        for condition, languages in LANGUAGES.items()
        for language in languages
    ]


def _clip(condition: str, language: str, pick: random.Random) -> Clip:
    arrays = np.random.default_rng(pick.getrandbits(64))
    form = FORMS[condition]
    source = sentences(held_out=True, seed=pick.getrandbits(32))
    texts = list(islice(source, form.sentences))
    voice = draw_voice(language, pick, held_out=True)
    if condition == "accent":
        variant = voice.name.rpartition("+")[2]
        voice = replace(voice, name=f"{ACCENTS[language]}+{variant}")
    samples = spoken(texts, language, voice, pick)
    if condition == "babble":
        voices = babble(language, pick, len(samples))
        samples = mixed(samples, voices, BABBLE_DB)
    elif condition in _EFFECTS:
        samples = _EFFECTS[condition](arrays, samples)
    name = f"{language}-{condition.replace(' ', '-')}"
    return clip_of(name, samples, form, texts, language, condition)


def _telephone(random: np.random.Generator, samples: Samples) -> Samples:
    return telephone(random, samples, ratio_db=TELEPHONE_NOISE_DB)


def _far(random: np.random.Generator, samples: Samples) -> Samples:
    return far_microphone(
        random,
        samples,
        decay_s=FAR_DECAY_S,
        direct_db=FAR_DIRECT_DB,
        ratio_db=FAR_NOISE_DB,
        level_db=FAR_LEVEL_DB,
    )


def _music(random: np.random.Generator, samples: Samples) -> Samples:
    return mixed(samples, music(random, len(samples)), MUSIC_DB)


_EFFECTS: dict[str, Callable[[np.random.Generator, Samples], Samples]] = {
    "telephone": _telephone,
    "far microphone": _far,
    "music": _music,
}
