"""The language spoken in a window."""

from __future__ import annotations

import torch
from torch import Tensor
from whisper.tokenizer import Tokenizer

from nightscribe.whisper.batched.model import Network

__all__ = ["detect_languages"]


def detect_languages(
    network: Network, tokenizer: Tokenizer, features: Tensor
) -> list[tuple[str, float]]:
    """Language code and probability for each window, by its features (windows, 1500, width).

    The probability is among the languages alone: other tokens cannot come first.
    """
    start = torch.full((len(features), 1), tokenizer.sot, device=features.device)
    logits = network.run_decoder(start, features)[0][:, 0]
    probabilities = logits[:, list(tokenizer.all_language_tokens)].softmax(-1).cpu()
    best = probabilities.argmax(-1).tolist()
    codes = tokenizer.all_language_codes
    return [(codes[at], float(row[at])) for at, row in zip(best, probabilities, strict=True)]
