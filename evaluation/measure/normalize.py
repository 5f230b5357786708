"""Text as Whisper's authors compare it: their own normalizers, chosen by language.

The choice follows Radford et al., "Robust Speech Recognition via Large-Scale Weak Supervision"
(arXiv:2212.04356), appendix C:

- English gets the English normalizer, every other language the basic one.
- Languages written without spaces between words (there: Chinese, Japanese, Thai, Lao and Burmese)
  also get a space between all letters. What is counted as a "word" is then a letter, and the word
  error rate is a character error rate. Cantonese, which got its own language token with large-v3,
  is treated like Chinese.
- Korean is written with spaces and keeps its word error rate. The figures published with large-v3
  quote a character error rate for it: compare those with `cer`.
- Serbian is written in two scripts, which references and models mix. All of it is converted to
  Cyrillic first, as for those figures (openai/whisper, discussion 1762).

`whisper.normalizers` cannot be imported without `whisper`, which imports torch. It is loaded on
first use, so that importing this module does not load torch.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache

from evaluation.languages import language_code

UNSPACED_LANGUAGES = frozenset({"zh", "ja", "th", "lo", "my", "yue"})
"""Whisper's codes of the languages whose headline is the character error rate."""

# Serbian's alphabets, in the same order. Letters of two signs come first: they are replaced first.
_LATIN = "dž lj nj a b v g d đ e ž z i j k l m n o p r s t ć u f h c č š"
_CYRILLIC = "џ љ њ а б в г д ђ е ж з и ј к л м н о п р с т ћ у ф х ц ч ш"


def is_unspaced(language: str) -> bool:
    """Whether the language is written without spaces: then letters are counted, not words."""
    return language_code(language) in UNSPACED_LANGUAGES


def normalizer_name(language: str) -> str:
    """The normalizer that `normalize` uses for the language; part of a score's signature."""
    if language_code(language) == "en":
        return "whisper-english"
    if language_code(language) == "sr":
        return "whisper-basic-cyrillic"
    return "whisper-basic-letters" if is_unspaced(language) else "whisper-basic"


def normalize(text: str, language: str) -> str:
    """The text as it is compared: words, or letters of an unspaced language, separated by spaces.

    Marks, symbols and punctuation are removed, and letters are lower case. In English, numbers,
    contractions and spellings are unified. The result may be empty: Whisper's normalizers remove
    everything in brackets.
    """
    name = normalizer_name(language)
    normalized = _normalizer(name)(text).strip()
    return _cyrillic(normalized) if name == "whisper-basic-cyrillic" else normalized


def _cyrillic(text: str) -> str:
    """Lower-case Serbian in Cyrillic, converted letter by letter."""
    for latin, cyrillic in zip(_LATIN.split(), _CYRILLIC.split(), strict=True):
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
