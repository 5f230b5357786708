"""Counts of transcripts: texts are normalised for their language, then aligned."""

from __future__ import annotations

from collections.abc import Sequence

from evaluation.languages import language_code
from evaluation.measure.beside import units_of
from evaluation.measure.counts import (
    BURST_LETTERS,
    BURST_WORDS,
    Counts,
    character_counts,
    word_counts,
)
from evaluation.measure.normalize import is_unspaced, normalize
from evaluation.pairs.table import Pair


def unit_counts(pairs: Sequence[Pair]) -> Counts:
    """Counts in words, or in letters of an unspaced language, of pairs of one language."""
    return _aligned(pairs[0]["language"], _normalised(pairs))


def transcript_counts(pairs: Sequence[Pair]) -> tuple[Counts, Counts]:
    """Word and character counts of pairs of one language.

    For unspaced languages both are counts of letters. Characters of Korean are letters without
    spaces.
    """
    language, texts = pairs[0]["language"], _normalised(pairs)
    words = _aligned(language, texts)
    if is_unspaced(language):
        return words, words
    if character_unit(language) == "letter":
        return words, units_of("letter", *texts)
    return words, character_counts(*texts)


def character_unit(language: str) -> str:
    """What the character error rate of a language counts: `letter`, or `character` with spaces."""
    return "letter" if is_unspaced(language) or language_code(language) == "ko" else "character"


def burst_length(language: str) -> int:
    """The shortest run that is a burst, in the units that `unit_counts` counts."""
    return BURST_LETTERS if is_unspaced(language) else BURST_WORDS


def _aligned(language: str, texts: tuple[list[str], list[str]]) -> Counts:
    return word_counts(*texts, burst=burst_length(language))


def _normalised(pairs: Sequence[Pair]) -> tuple[list[str], list[str]]:
    references = [normalize(pair["reference"], pair["language"]) for pair in pairs]
    return references, [normalize(pair["hypothesis"], pair["language"]) for pair in pairs]
