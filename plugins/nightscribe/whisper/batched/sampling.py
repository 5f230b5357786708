"""Choose the next token of each row: the most probable one, or one drawn at a temperature."""

from __future__ import annotations

import torch
from torch import Tensor

__all__ = ["most_probable", "sample"]


def most_probable(logits: Tensor) -> Tensor:
    """The token of the highest logit in each row of `logits` (rows, vocabulary)."""
    return logits.argmax(-1)


def sample(logits: Tensor, temperature: Tensor, random: Tensor) -> Tensor:
    """Draw a token in each row whose temperature is above 0; the most probable in the others.

    Args:
        logits: (rows, vocabulary).
        temperature: (rows,).
        random: (rows,), numbers in [0, 1) that decide the draws.
    """
    drawn = temperature > 0
    scaled = logits / torch.where(drawn, temperature, 1.0)[:, None]
    cumulative = scaled.double().softmax(-1).cumsum(-1)
    # Rounding leaves the last sum a little beside 1.
    threshold = random[:, None] * cumulative[:, -1:]
    tokens = torch.searchsorted(cumulative, threshold, right=True)[:, 0]
    return torch.where(drawn, tokens.clamp(max=logits.shape[1] - 1), most_probable(logits))
