"""The words of a text, as the index has them: without case and accents, in every script.

Chinese, Japanese, Thai, Lao, Khmer and Burmese are written without spaces. Of a run of such
characters, the index has every character, and every pair of neighbours between its two characters:

>>> [word.text for word in words_of("Müller 東京都")]
['muller', '東', '東京', '京', '京都', '都']

So any part of the run is a sequence of words, and is found as a phrase. Pairs are rare, where
single characters are common: they make this fast.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache

import regex

__all__ = ["UNSPACED", "Word", "folded", "index_text", "words_of"]

_LONGEST = 64
"""Characters of a word that count. Whisper at times repeats a syllable without end."""

UNSPACED = (
    r"\p{Script=Han}\p{Script=Hiragana}\p{Script=Katakana}"
    r"\u30fc\uff70\uff9e\uff9f"  # signs of both Japanese scripts
    r"\p{Script=Thai}\p{Script=Lao}\p{Script=Khmer}\p{Script=Myanmar}"
)
_RUN = regex.compile(
    rf"(?V1)(?P<unspaced>[[{UNSPACED}]&&[\p{{L}}\p{{M}}\p{{N}}]]+)"
    rf"|(?:(?![{UNSPACED}])[\p{{L}}\p{{M}}\p{{N}}])+"
)
_ACCENTS = regex.compile(
    # Marks of Latin, Greek and Cyrillic, points of Hebrew and Arabic, and Arabic's filler. Marks of
    # other scripts are vowels: without them, a word would be another one.
    r"[\u0300-\u036f\u0591-\u05bd\u05bf-\u05c7\u0610-\u061a\u0640\u064b-\u065f\u0670\u06d6-\u06ed"
    r"\u1ab0-\u1aff\u1dc0-\u1dff\u20d0-\u20ff\ufe20-\ufe2f]+"
)
_LETTERS = str.maketrans(
    {"ø": "o", "ł": "l", "đ": "d", "ð": "d", "þ": "th", "æ": "ae", "œ": "oe", "ı": "i", "ħ": "h"}
)
"""Letters with a stroke, and ligatures: Unicode does not decompose them."""
_ASCII = regex.compile("[a-z0-9]+")


@dataclass(frozen=True, slots=True)
class Word:
    """A word as the index has it, and where it stands in the text.

    Attributes:
        is_spaced: whether it is of a script with spaces between its words
    """

    text: str
    start: int
    end: int
    is_spaced: bool = True


def folded(text: str) -> str:
    """The text without case, accents and differences of width.

    >>> folded("Straße"), folded("ÉTÉ"), folded("Ёлка"), folded("ﾃﾞｰﾀ"), folded("İzmir")
    ('strasse', 'ete', 'елка', 'データ', 'izmir')
    """
    plain = unicodedata.normalize("NFKD", unicodedata.normalize("NFKD", text).casefold())
    return unicodedata.normalize("NFC", _ACCENTS.sub("", plain).translate(_LETTERS))


def words_of(text: str) -> Iterator[Word]:
    """The words of a text, in the index's order."""
    if text.isascii():
        for found in _ASCII.finditer(text.lower()):
            yield Word(found[0][:_LONGEST], found.start(), found.end())
        return
    for run in _RUN.finditer(text):
        if run["unspaced"] is not None:
            yield from _places(folded(run[0]), run.start(), run.end())
        else:
            for word, is_spaced in _parts(run[0]):
                yield Word(word, run.start(), run.end(), is_spaced)


def index_text(text: str) -> str:
    """The words of a text with spaces between them, which Tantivy cuts into words again."""
    if text.isascii():
        return " ".join([word[:_LONGEST] for word in _ASCII.findall(text.lower())])
    words: list[str] = []
    for run in _RUN.finditer(text):
        if run["unspaced"] is not None:
            words += _pairs(folded(run[0]))
        else:
            words += [word for word, _ in _parts(run[0])]
    return " ".join(words)


@lru_cache(2**16)
def _parts(run: str) -> tuple[tuple[str, bool], ...]:
    """The words of a run of letters, and whether they are of a script with spaces.

    Folding may part a run: ½ is 1⁄2. Texts have the same words again and again, so a cache makes
    indexing ten times as fast.
    """
    words: list[tuple[str, bool]] = []
    for part in _RUN.finditer(folded(run)):
        if part["unspaced"] is not None:
            words += [(word, False) for word in _pairs(part[0])]
        else:
            words.append((part[0][:_LONGEST], True))
    return tuple(words)


def _pairs(run: str) -> list[str]:
    """The characters of a run, and every pair between its two characters."""
    return [run[at // 2 : at // 2 + 1 + at % 2] for at in range(2 * len(run) - 1)]


def _places(run: str, start: int, end: int) -> Iterator[Word]:
    """The characters and pairs of a run. Each has the whole place if folding changed the length."""
    for at, word in enumerate(_pairs(run)):
        if len(run) == end - start:
            yield Word(word, start + at // 2, start + at // 2 + len(word), False)
        else:
            yield Word(word, start, end, False)
