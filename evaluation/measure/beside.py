"""Error rates that stand beside the headline: the same texts after other normalizers, or none.

| metric | languages | normalizer | unit |
| --- | --- | --- | --- |
| `wer_raw` | all | none | words; letters without spaces in unspaced languages |
| `cer_nfc` | all | NFC, lower case, no punctuation; marks of letters stay | characters |
| `wer_leaderboard` | English | that of the Open ASR Leaderboard, see `leaderboard` | words |
| `cer_whisper` | Chinese, Cantonese | Whisper's, without a conversion of scripts | letters |
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from evaluation.languages import language_code
from evaluation.measure.counts import Counts, character_counts, word_counts
from evaluation.measure.normalize import (
    LEADERBOARD,
    MARKS_KEPT,
    RAW,
    is_unspaced,
    letters,
    normalizer_name,
    normalizer_named,
    whisper_normalizer_name,
)
from evaluation.pairs.table import Pair

__all__ = ["Beside", "beside", "beside_counts", "units_of"]


@dataclass(frozen=True)
class Beside:
    """One such figure of a language.

    Attributes:
        unit: `word`, `letter` (a grapheme cluster; spaces are none) or `character`
        normalizer: its name
    """

    metric: str
    unit: str
    normalizer: str


def beside(language: str) -> list[Beside]:
    """The figures of a language."""
    found = [
        Beside("wer_raw", "letter" if is_unspaced(language) else "word", RAW),
        Beside("cer_nfc", "character", MARKS_KEPT),
    ]
    if language_code(language) == "en":
        found.append(Beside("wer_leaderboard", "word", LEADERBOARD))
    whisper = whisper_normalizer_name(language)
    if is_unspaced(language) and whisper != normalizer_name(language):
        found.append(Beside("cer_whisper", "letter", whisper))
    return found


def beside_counts(figure: Beside, pairs: Sequence[Pair]) -> Counts:
    """Counts in the figure's unit, of pairs of one language."""
    normalizer = normalizer_named(figure.normalizer, pairs[0]["language"])
    return units_of(
        figure.unit,
        [normalizer(pair["reference"]) for pair in pairs],
        [normalizer(pair["hypothesis"]) for pair in pairs],
    )


def units_of(unit: str, references: Sequence[str], hypotheses: Sequence[str]) -> Counts:
    """Counts of words, of letters without spaces, or of characters."""
    if unit == "character":
        return character_counts(references, hypotheses)
    if unit == "letter":
        references, hypotheses = ([*map(letters, texts)] for texts in (references, hypotheses))
    return word_counts(references, hypotheses)
