"""Voices: accents of each language, variants of espeak-ng, speed and pitch."""

import random
from dataclasses import dataclass

ACCENTS = {
    "en": ("en-us", "en", "en-gb-x-rp"),
    "es": ("es", "es-419"),
    "de": ("de",),
    "fr": ("fr", "fr-be", "fr-ch"),
    "ru": ("ru",),
    "zh": ("cmn-latn-pinyin",),
}

RATES = {  # words per minute as espeak-ng counts; sentences of all languages take similar times
    "en": (135, 185),
    "es": (135, 185),
    "de": (135, 185),
    "fr": (105, 150),
    "ru": (95, 135),
    "zh": (170, 230),
}

VARIANTS = (
    *("f1", "f2", "f3", "f5", "m1", "m2", "m3", "m4", "m5", "m7", "m8", "Alex", "Alicia"),
    *("Andrea", "Annie", "Denis", "Diogo", "Gene", "Henrique", "Hugo", "Jacky", "Lee", "Marco"),
    *("Mario", "Michael", "Mike", "Nguyen", "adam", "anika", "antonio", "aunty", "belinda"),
    *("benjamin", "boris", "caleb", "david", "ed", "edward", "grandma", "grandpa", "gustave"),
    *("iven", "iven2", "john", "marcelo", "max", "michel", "miguel", "norbert", "pablo", "paul"),
    *("pedro", "quincy", "rob", "robert", "sandro", "shelby", "steph", "steph2", "travis"),
    *("victor", "zac"),
)
HELD_OUT_VARIANTS = ("f4", "m6", "Andy", "linda")
"""Variants that are not used for training."""


@dataclass(frozen=True)
class Voice:
    """A voice of espeak-ng and its settings."""

    name: str
    rate: int  # words per minute
    pitch: int  # 0 to 99
    spread: int  # range of the pitch, 0 to 99
    size: float = 1.0
    """Factor of the playback speed: a higher one sounds like a smaller throat and faster speech."""


SIZES = (0.87, 1.15)
"""Range of `size` in training, so that the model learns other throats than the variants have."""


def draw_voice(language: str, pick: random.Random, *, held_out: bool) -> Voice:
    """A random voice of a language, from the variants for training or the held-out ones."""
    variant = pick.choice(HELD_OUT_VARIANTS if held_out else VARIANTS)
    return Voice(
        name=f"{pick.choice(ACCENTS[language])}+{variant}",
        rate=pick.randint(*RATES[language]),
        pitch=pick.randint(30, 70),
        spread=pick.randint(30, 70),
        size=1.0 if held_out else pick.uniform(*SIZES),
    )
