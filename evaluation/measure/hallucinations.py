"""What a system writes of recordings in which nobody speaks: all of it is invented.

Error rates need words that were said. Here there are none (the language is `zxx`), so two figures
take their place:

- `hallucination_rate`: recordings with text over recordings
- `hallucinated_words_per_hour`: words over hours of audio

A recording has text if a letter or a digit is left of its transcript after the normalizer
`nfc-lower`, which removes punctuation, symbols (`♪`) and what is in brackets: `[Music]` claims no
speech. The normalizer is the same for all transcripts, since no language is the right one.

Words are separated by spaces. In scripts that are written without spaces, each letter counts as a
word: Chinese characters, Hiragana, Katakana, Thai, Lao and Burmese. The text decides, not the
language that was detected.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

import numpy as np
import regex
from numpy.typing import NDArray

from evaluation.measure.bootstrap import Floats
from evaluation.measure.normalize import MARKS_KEPT, normalizer_named
from evaluation.measure.worst import RecordingErrors
from evaluation.pairs.table import Pair
from nightscribe.languages import NO_SPEECH

__all__ = [
    "hallucinated_words",
    "is_without_speech",
    "most_invented",
    "per_hour_of",
    "texts_invented",
    "word_counts_and_times",
    "words_of",
]

_MS_PER_HOUR = 3_600_000

_UNSPACED = "".join(
    rf"\p{{Script_Extensions={script}}}"
    for script in ("Han", "Hiragana", "Katakana", "Thai", "Lao", "Myanmar")
)
_WORD = regex.compile(rf"[{_UNSPACED}]+|[^\s{_UNSPACED}]+")
_IS_UNSPACED = regex.compile(rf"[{_UNSPACED}]")


def is_without_speech(language: str) -> bool:
    """Whether a reference says that nobody speaks."""
    return language == NO_SPEECH


def hallucinated_words(text: str) -> int:
    """How many words a text has that was written where nobody speaks; 0: it has no text.

    >>> [hallucinated_words(text) for text in (" Thank you.", "字幕", "[Music] ♪")]
    [2, 2, 0]
    """
    return sum(map(_units, _WORD.findall(_normalised(text))))


def words_of(pairs: Sequence[Pair]) -> NDArray[np.int64]:
    """The words of each pair, shape (pairs,)."""
    return np.array([hallucinated_words(pair["hypothesis"]) for pair in pairs], np.int64)


def word_counts_and_times(pairs: Sequence[Pair], timed: Sequence[Pair]) -> NDArray[np.int64]:
    """Words of each pair and the length of its recording, shape (pairs, 2): words, ms.

    Args:
        timed: in the same order, with `duration_s`
    """
    times = [round(1000 * pair["duration_s"]) for pair in timed]
    return np.stack([words_of(pairs), np.array(times, np.int64)], axis=1)


def per_hour_of(totals: NDArray[Any]) -> Floats:
    """Words and ms → words per hour, shape (…, 2) → (…)."""
    return np.asarray(_MS_PER_HOUR * totals[..., 0] / np.maximum(totals[..., 1], 1))


def most_invented(
    group: Sequence[Pair], words: NDArray[np.int64], number: int
) -> list[RecordingErrors]:
    """The recordings with the most words, the most first; they have 0 units."""
    rows = [row for row in np.argsort(-words, kind="stable") if words[row]]
    return [RecordingErrors(group[row], errors=int(words[row])) for row in rows[:number]]


def texts_invented(pairs: Sequence[Pair], number: int) -> list[tuple[str, int]]:
    """The texts that were written most often, each with the number of its recordings.

    Texts that differ in case, punctuation and spaces are one; it is shown as it was written most
    often.
    """
    spellings: dict[str, Counter[str]] = {}
    for pair in pairs:
        if hallucinated_words(pair["hypothesis"]):
            same = " ".join(_normalised(pair["hypothesis"]).split())
            spellings.setdefault(same, Counter())[" ".join(pair["hypothesis"].split())] += 1
    counted = sorted(spellings.items(), key=lambda one: (-one[1].total(), one[0]))
    return [(spelled.most_common(1)[0][0], spelled.total()) for _, spelled in counted[:number]]


def _normalised(text: str) -> str:
    return normalizer_named(MARKS_KEPT, NO_SPEECH)(text)


def _units(run: str) -> int:
    """Letters of a run without spaces in such a script, else one word; 0 without a letter."""
    if not any(sign.isalnum() for sign in run):
        return 0
    return len(regex.findall(r"\X", run)) if _IS_UNSPACED.match(run) else 1
