"""Texts as they are compared: named normalizers, and the one of each language.

The headline of a language follows Radford et al., "Robust Speech Recognition via Large-Scale Weak
Supervision" (arXiv:2212.04356), appendix C, which uses Whisper's own normalizers:

- English gets the English normalizer, every other language the basic one. Both compare in NFKC, so
  that full-width and half-width forms of Japanese and Korean are the same.
- Languages written without spaces between words (there: Chinese, Japanese, Thai, Lao and Burmese)
  also get a space between all letters. What is counted as a "word" is then a letter, and the word
  error rate is a character error rate. Cantonese, which got its own language token with large-v3,
  is treated like Chinese.
- Korean is written with spaces and keeps its word error rate. References space words
  inconsistently, so its character error rate counts letters without spaces, as the figures
  published with large-v3 do (openai/whisper, discussion 1762).

Whisper writes some languages in either of two scripts, and references do too. Their texts are
converted to one script:

- Serbian to Cyrillic, as for the figures published with large-v3 (the same discussion),
- Chinese and Cantonese to simplified characters, by OpenCC (`t2s`). Those figures were computed
  without that, so they compare with `cer_whisper`.

`whisper.normalizers` cannot be imported without `whisper`, which imports torch. It is loaded on
first use, so that importing this module does not load torch.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable
from functools import cache
from typing import Any

import regex

from evaluation.languages import language_code

__all__ = [
    "CHINESE",
    "LEADERBOARD",
    "MARKS_KEPT",
    "RAW",
    "SIMPLIFIED",
    "UNSPACED_LANGUAGES",
    "is_unspaced",
    "letters",
    "normalize",
    "normalizer_name",
    "normalizer_named",
    "whisper_normalizer_name",
]

UNSPACED_LANGUAGES = frozenset({"zh", "ja", "th", "lo", "my", "yue"})
"""Whisper's codes of the languages whose headline is the character error rate."""

CHINESE = frozenset({"zh", "yue"})
"""Those of them that are converted to one script."""

SIMPLIFIED = "whisper-basic-letters-simplified"
"""Name of their normalizer."""

RAW, MARKS_KEPT, LEADERBOARD = "none", "nfc-lower", "open-asr-leaderboard-2026-06"
"""Names of normalizers of figures beside the headline, see `beside`."""

# Serbian's alphabets, in the same order. Letters of two signs come first: they are replaced first.
_LATIN = "dž lj nj a b v g d đ e ž z i j k l m n o p r s t ć u f h c č š"
_CYRILLIC = "џ љ њ а б в г д ђ е ж з и ј к л м н о п р с т ћ у ф х ц ч ш"

_IN_BRACKETS = re.compile(r"<[^>]*>|\[[^\]]*\]|\([^)]*\)")


def is_unspaced(language: str) -> bool:
    """Whether the language is written without spaces: then letters are counted, not words."""
    return language_code(language) in UNSPACED_LANGUAGES


def normalizer_name(language: str) -> str:
    """The normalizer that `normalize` uses for the language; part of a score's signature."""
    code = language_code(language)
    if code == "sr":
        return "whisper-basic-cyrillic"
    return SIMPLIFIED if code in CHINESE else whisper_normalizer_name(code)


def whisper_normalizer_name(language: str) -> str:
    """The same without a conversion to one script."""
    if language_code(language) == "en":
        return "whisper-english"
    return "whisper-basic-letters" if is_unspaced(language) else "whisper-basic"


def normalize(text: str, language: str) -> str:
    """The text as it is compared: words, or letters of an unspaced language, separated by spaces.

    Marks, symbols and punctuation are removed, and letters are lower case. In English, numbers,
    contractions and spellings are unified. The result may be empty: Whisper's normalizers remove
    everything in brackets.
    """
    return normalizer_named(normalizer_name(language), language)(text)


@cache
def normalizer_named(name: str, language: str) -> Callable[[str], str]:
    """A normalizer by its name, as a signature has it.

    Args:
        language: `nfc-lower` converts scripts and lowers letters as in this language
    """
    if name == RAW:
        return lambda text: text
    if name == MARKS_KEPT:
        return lambda text: _marks_kept(text, language_code(language))
    if name == LEADERBOARD:
        from evaluation.measure.leaderboard import LeaderboardNormalizer

        return LeaderboardNormalizer()
    script = {"cyrillic": _cyrillic, "simplified": _simplified}.get(name.rpartition("-")[2])
    whisper = _whisper(name.removesuffix("-cyrillic").removesuffix("-simplified"))
    if script is None:
        return lambda text: whisper(text).strip()
    if script is _cyrillic:  # of lower-case letters
        return lambda text: _cyrillic(whisper(text).strip())
    return lambda text: whisper(_simplified(text)).strip()


def letters(text: str) -> str:
    """The letters of a text (grapheme clusters) without its spaces, separated by spaces."""
    return " ".join(regex.findall(r"\X", "".join(text.split())))


def _marks_kept(text: str, language: str) -> str:
    """Lower case in NFC without brackets, punctuation and symbols; all marks of letters stay."""
    if language in CHINESE:
        text = _simplified(text)
    if language in ("tr", "az"):  # the capital of i has a dot, and that of ı has none
        text = unicodedata.normalize("NFC", text).replace("İ", "i").replace("I", "ı")
    text = unicodedata.normalize("NFC", _IN_BRACKETS.sub("", text).lower())
    spaced = "".join(" " if unicodedata.category(sign)[0] in "PS" else sign for sign in text)
    words = spaced.split()
    if language == "sr":
        words = [_cyrillic(word) for word in words]
    return ("" if language in UNSPACED_LANGUAGES or language == "ko" else " ").join(words)


def _cyrillic(text: str) -> str:
    """Lower-case Serbian in Cyrillic, converted letter by letter."""
    for latin, cyrillic in zip(_LATIN.split(), _CYRILLIC.split(), strict=True):
        text = text.replace(latin, cyrillic)
    return text


def _simplified(text: str) -> str:
    """Chinese in simplified characters."""
    converted: str = _opencc().convert(text)
    return converted


@cache
def _opencc() -> Any:
    from opencc import OpenCC

    return OpenCC("t2s")


@cache
def _whisper(name: str) -> Callable[[str], str]:
    from whisper.normalizers import BasicTextNormalizer, EnglishTextNormalizer

    normalizer: Callable[[str], str] = (
        EnglishTextNormalizer()
        if name == "whisper-english"
        else BasicTextNormalizer(split_letters=name == "whisper-basic-letters")
    )
    return normalizer
