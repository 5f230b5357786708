"""When words are said: where the decoder's attention rests while it reads a text again.

The alignment heads' scores of a window give, once smoothed, a cost for every token at every
position of the encoder; dynamic time warping finds the cheapest path. Filtering and warping are
those of `whisper.timing`.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from whisper.audio import TOKENS_PER_SECOND
from whisper.timing import dtw, median_filter
from whisper.tokenizer import Tokenizer

from nightscribe.whisper.batched.model import Network
from nightscribe.whisper.batched.word_timestamps import WordTiming

_FILTER_WIDTH = 7


@dataclass(frozen=True)
class Reading:
    """A text of a window, to be aligned."""

    text_tokens: tuple[int, ...]
    tokenizer: Tokenizer
    frames: int  # of content in the window


def align(
    network: Network, readings: Sequence[Reading], features: Tensor
) -> list[list[WordTiming]]:
    """Align texts with their windows' features (windows, 1500, width), all at once."""
    texts = [
        [
            *reading.tokenizer.sot_sequence,
            reading.tokenizer.no_timestamps,
            *reading.text_tokens,
            reading.tokenizer.eot,
        ]
        for reading in readings
    ]
    tokens = torch.zeros(len(texts), max(len(text) for text in texts), dtype=torch.long)
    for row, text in zip(tokens, texts, strict=True):
        row[: len(text)] = torch.tensor(text)
    logits, scores = network.attend(tokens.to(network.device), features)
    threads = torch.get_num_threads()
    found = []
    for number, reading in enumerate(readings):
        begin = len(reading.tokenizer.sot_sequence)
        count = len(reading.text_tokens)
        shares = logits[number, begin : begin + count, : reading.tokenizer.eot].softmax(-1)
        wanted = torch.tensor(reading.text_tokens, device=shares.device)
        probabilities = shares.gather(1, wanted[:, None])[:, 0].tolist()
        looked = scores[number, :, : len(texts[number]), : reading.frames // 2]
        found.append(_timings(looked, begin, reading, probabilities))
    # numba's threads, which the warping starts, change the number that torch takes for its own.
    if torch.get_num_threads() != threads:
        torch.set_num_threads(threads)
    return found


def _timings(
    scores: Tensor, begin: int, reading: Reading, probabilities: list[float]
) -> list[WordTiming]:
    """Words of one text from the scores of its heads (heads, tokens, positions)."""
    tokenizer = reading.tokenizer
    words, tokens_by_word = tokenizer.split_to_word_tokens([*reading.text_tokens, tokenizer.eot])
    if len(tokens_by_word) <= 1:
        return []
    weights = scores.softmax(-1)
    deviation, mean = torch.std_mean(weights, dim=-2, keepdim=True, unbiased=False)
    weights = median_filter((weights - mean) / deviation, _FILTER_WIDTH)
    text_indices, time_indices = dtw(-weights.mean(0)[begin:-1])
    # A token begins where the path first reaches its row.
    arrivals = np.diff(text_indices, prepend=text_indices[0] - 1).astype(bool)
    times = time_indices[arrivals] / TOKENS_PER_SECOND
    bounds = [0, *itertools.accumulate(len(tokens) for tokens in tokens_by_word[:-1])]
    return [
        WordTiming(
            word,
            tokens,
            times[first],
            times[last],
            float(np.mean(probabilities[first:last])),
        )
        for word, tokens, (first, last) in zip(
            words, tokens_by_word, itertools.pairwise(bounds), strict=False
        )
    ]
