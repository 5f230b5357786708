"""Choose the best of the texts that a window was decoded to."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

__all__ = ["RankedText", "best_text"]


@dataclass(frozen=True)
class RankedText:
    """A text, without the end-of-text token and what follows it, and its log-probability."""

    tokens: list[int]
    logprob: float  # of all tokens and the end, summed


def best_text(texts: Sequence[RankedText], length_penalty: float | None) -> RankedText:
    """The text of the highest log-probability over its length penalty; the first of equals.

    The penalty is the number of tokens, or with `length_penalty` that of Google NMT
    (Wu et al. 2016, equation 14).
    """
    return max(texts, key=lambda text: text.logprob / _penalty(len(text.tokens), length_penalty))


def _penalty(length: int, alpha: float | None) -> float:
    if alpha is None:
        return max(length, 1)
    return float(((5 + length) / 6) ** alpha)
