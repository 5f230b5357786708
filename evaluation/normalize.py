"""Text as Whisper's authors compare it: their own normalizers, chosen by language.

What each language gets follows Radford et al., "Robust Speech Recognition via Large-Scale
Weak Supervision" (arXiv:2212.04356), appendix C: the English normalizer for English, the
basic one for every other language, and, for languages written without spaces between
words (Chinese, Japanese, Thai, Lao and Burmese there), a space between all letters, so
that what is counted as a "word" is a letter and the error rate is a character error rate.
Cantonese, which got its own language token with large-v3, is Chinese in this respect.
Korean is written with spaces and keeps its word error rate, as in the paper; the figures
published with large-v3 quote a character error rate for it, so compare those with `cer`.
Serbian is written in two scripts, which references and models mix: as for those figures
(openai/whisper, discussion 1762), all of it is brought into Cyrillic first.

`whisper.normalizers` cannot be imported without `whisper`, which imports torch. It is
therefore loaded on first use and not with this module.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache

UNSPACED_LANGUAGES = frozenset({"zh", "ja", "th", "lo", "my", "yue"})
"""Whisper's codes of the languages whose headline is the character error rate."""

# Letters of two signs come first.
_GAJ = "dž lj nj a b v g d đ e ž z i j k l m n o p r s t ć u f h c č š"
_VUK = "џ љ њ а б в г д ђ е ж з и ј к л м н о п р с т ћ у ф х ц ч ш"

_ALIASES = {"cmn": "zh", "fil": "tl", "in": "id", "iw": "he", "jv": "jw", "nb": "no"}
"""Codes that data sets use for a language which Whisper names by another."""


@cache
def language_code(language: str) -> str:
    """Whisper's code of a language given by its code, locale or English name.

    `zh-TW`, `cmn_hans_cn` and `Chinese` are all `zh`. A code that Whisper does not know
    comes back in lower case, without its region.
    """
    from whisper.tokenizer import LANGUAGES, TO_LANGUAGE_CODE

    name = language.strip().lower()
    if name in LANGUAGES:
        return name
    if name in TO_LANGUAGE_CODE:
        return str(TO_LANGUAGE_CODE[name])
    code = name.replace("_", "-").partition("-")[0]
    return _ALIASES.get(code, code)


@cache
def language_name(language: str) -> str:
    """English name of a language; what was given if Whisper has no name for it."""
    from whisper.tokenizer import LANGUAGES

    name = LANGUAGES.get(language_code(language))
    return str(name).title() if name else language


def is_unspaced(language: str) -> bool:
    """Whether the language is written without spaces, so that letters are counted, not words."""
    return language_code(language) in UNSPACED_LANGUAGES


def normalizer_name(language: str) -> str:
    """Which normalizer `normalize` uses for the language; part of a score's signature."""
    if language_code(language) == "en":
        return "whisper-english"
    if language_code(language) == "sr":
        return "whisper-basic-cyrillic"
    return "whisper-basic-letters" if is_unspaced(language) else "whisper-basic"


def normalize(text: str, language: str) -> str:
    """The text as it is compared: words, or letters of an unspaced language, between spaces.

    Marks, symbols and punctuation are gone, letters are lower case, and for English
    numbers, contractions and spellings are unified. May be empty: Whisper's normalizers
    drop whatever stands in brackets.
    """
    name = normalizer_name(language)
    normalized = _normalizer(name)(text).strip()
    return _cyrillic(normalized) if name == "whisper-basic-cyrillic" else normalized


def _cyrillic(text: str) -> str:
    """Lower-case Serbian in Cyrillic, letter by letter of Gaj's alphabet."""
    for latin, cyrillic in zip(_GAJ.split(), _VUK.split(), strict=True):
        text = text.replace(latin, cyrillic)
    return text


@cache
def _normalizer(name: str) -> Callable[[str], str]:
    from whisper.normalizers import BasicTextNormalizer, EnglishTextNormalizer

    normalizer: Callable[[str], str] = (
        EnglishTextNormalizer()
        if name == "whisper-english"
        else BasicTextNormalizer(split_letters=name == "whisper-basic-letters")
    )
    return normalizer
