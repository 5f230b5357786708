"""Errors of each utterance, counted along jiwer's alignment of words or of characters.

Empty texts count as in jiwer 4: with an empty reference, every word of the hypothesis is an
insertion and the reference length is 0; with an empty hypothesis, every word of the reference is a
deletion.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import jiwer
import numpy as np
from numpy.typing import NDArray

__all__ = [
    "BURST_LETTERS",
    "BURST_WORDS",
    "COLUMNS",
    "Counts",
    "character_counts",
    "check_lengths",
    "errors",
    "reference_units",
    "word_counts",
]

BURST_WORDS, BURST_LETTERS = 5, 10
"""A burst is a run of at least so many words (or letters, for unspaced languages) that are all
inserted or all deleted. Shorter runs are slips; a burst is text that nobody said, or speech that
was passed over. Text invented *in place* of speech counts as substitutions, so bursts are a lower
bound."""

Counts = NDArray[np.int64]
"""shape = (utterances, 6): hits, substitutions, deletions, insertions, insertions in bursts,
deletions in bursts"""

COLUMNS = 6

_COLUMN_OF = {"equal": 0, "substitute": 1, "delete": 2, "insert": 3}
_BURST_COLUMN_OF = {"insert": 4, "delete": 5}


def word_counts(
    references: Sequence[str], hypotheses: Sequence[str], *, burst: int = BURST_WORDS
) -> Counts:
    """Align words, separated by spaces, and count per utterance.

    Args:
        references: one normalised text per utterance; may be empty strings
        hypotheses: as many texts, in the same order
        burst: words in a row that make a burst

    Returns:
        see `Counts`

    Raises:
        ValueError: the lists differ in length, or are empty
    """
    check_lengths(references, hypotheses)
    return _counts(jiwer.process_words(list(references), list(hypotheses)).alignments, burst)


def character_counts(references: Sequence[str], hypotheses: Sequence[str]) -> Counts:
    """Align characters and count per utterance. A space between words is a character.

    Arguments, result and errors as for `word_counts`.
    """
    check_lengths(references, hypotheses)
    aligned = jiwer.process_characters(list(references), list(hypotheses))
    return _counts(aligned.alignments, BURST_LETTERS)


def check_lengths(references: Sequence[str], hypotheses: Sequence[str]) -> None:
    """Raise `ValueError` if the lists differ in length, or are empty."""
    if len(references) != len(hypotheses):
        raise ValueError(
            f"every reference needs its hypothesis: got {len(references)} references and "
            f"{len(hypotheses)} hypotheses"
        )
    if not references:
        raise ValueError("there is nothing to measure: got no references and no hypotheses")


def _counts(alignments: list[list[Any]], burst: int) -> Counts:
    counts = np.zeros((len(alignments), COLUMNS), dtype=np.int64)
    for row, chunks in zip(counts, alignments, strict=True):
        for chunk in chunks:
            # An insertion has no length in the reference; all others have.
            length = (
                chunk.hyp_end_idx - chunk.hyp_start_idx
                if chunk.type == "insert"
                else chunk.ref_end_idx - chunk.ref_start_idx
            )
            row[_COLUMN_OF[chunk.type]] += length
            if length >= burst and chunk.type in _BURST_COLUMN_OF:
                row[_BURST_COLUMN_OF[chunk.type]] += length
    return counts


def errors(counts: NDArray[Any]) -> NDArray[Any]:
    """S + D + I, shape (…, 6) → (…). Those in bursts are among them and not counted again."""
    found: NDArray[Any] = counts[..., 1:4].sum(axis=-1)
    return found


def reference_units(counts: NDArray[Any]) -> NDArray[Any]:
    """H + S + D, the length of the reference, shape (…, 6) → (…)."""
    found: NDArray[Any] = counts[..., :3].sum(axis=-1)
    return found
