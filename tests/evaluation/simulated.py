"""Counts of errors as systems with known error rates would make them."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from evaluation.measure.counts import COLUMNS, Counts


def substitutions(words: NDArray[Any], errors: NDArray[Any]) -> Counts:
    """Counts of utterances with so many words, of which so many are replaced."""
    table = np.zeros((len(words), COLUMNS), dtype=np.int64)
    table[:, 0], table[:, 1] = words - errors, errors
    return table


def two_systems(
    random: np.random.Generator, utterances: int, worse_by: float = 0.0
) -> tuple[Counts, Counts]:
    """The same utterances by two systems, of which the second may be worse.

    Utterances have 5 to 24 words. Each has its own chance of an error, the same for both systems:
    10 % on average, and `worse_by` more for the second system.
    """
    words = random.integers(5, 25, size=utterances)
    hard = random.beta(1, 9, size=utterances)
    harder = np.minimum(hard + worse_by, 1)
    return (
        substitutions(words, random.binomial(words, hard)),
        substitutions(words, random.binomial(words, harder)),
    )


def noisy_corpus(utterances: int) -> tuple[list[str], list[str]]:
    """References and hypotheses: sentences of different lengths, each with some words wrong."""
    generator = np.random.default_rng(5)
    vocabulary = np.array([f"word{i}" for i in range(300)])
    references, hypotheses = [], []
    for _ in range(utterances):
        words = generator.choice(vocabulary, size=generator.integers(4, 30))
        wrong = generator.random(len(words)) < generator.beta(1, 4)
        references.append(" ".join(words))
        hypotheses.append(" ".join(np.where(wrong, generator.choice(vocabulary), words)))
    return references, hypotheses
