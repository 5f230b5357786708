"""Who speaks: accents of each language, espeak-ng's voice variants, and how fast and high."""

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

RATES = {  # words a minute by espeak-ng's own count, so that sentences of all take about as long
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
"""Voices that training never hears."""


@dataclass(frozen=True)
class Voice:
    """An espeak-ng voice and its settings."""

    name: str
    rate: int
    pitch: int
    spread: int
    size: float = 1.0
    """By how much faster than spoken it is played: a smaller throat, and a brisker tongue."""


SIZES = (0.87, 1.15)
"""What training hears of `size`, so that throats of other sizes than the variants' are known."""


def a_voice(language: str, pick: random.Random, *, held_out: bool) -> Voice:
    """A voice of a language, drawn from those that training hears or from the others."""
    variant = pick.choice(HELD_OUT_VARIANTS if held_out else VARIANTS)
    return Voice(
        name=f"{pick.choice(ACCENTS[language])}+{variant}",
        rate=pick.randint(*RATES[language]),
        pitch=pick.randint(30, 70),
        spread=pick.randint(30, 70),
        size=1.0 if held_out else pick.uniform(*SIZES),
    )
