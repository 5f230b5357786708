"""Times of words, from the decoder's attention to the audio while it reads a finished text.

The scores of the alignment heads, once smoothed, give a cost for each token at each position of
the encoder. Dynamic time warping finds the cheapest path. Filter and warping are those of
`whisper.timing`.
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

__all__ = ["AlignmentTask", "align_words"]

_FILTER_WIDTH = 7
_FRAMES_PER_POSITION = 2


@dataclass(frozen=True)
class AlignmentTask:
    """The text of a window whose words are to be timed."""

    text_tokens: tuple[int, ...]
    tokenizer: Tokenizer
    frames: int  # of content in the window

    @property
    def decoder_tokens(self) -> list[int]:
        """What the decoder reads: the text, without timestamps, between start and end tokens."""
        tokenizer = self.tokenizer
        return [
            *tokenizer.sot_sequence,
            tokenizer.no_timestamps,
            *self.text_tokens,
            tokenizer.eot,
        ]


def align_words(
    network: Network, tasks: Sequence[AlignmentTask], features: Tensor
) -> list[list[WordTiming]]:
    """Time the words of all texts at once; `features` (texts, 1500, width) of their windows."""
    texts = [task.decoder_tokens for task in tasks]
    tokens = torch.zeros(len(texts), max(len(text) for text in texts), dtype=torch.long)
    for row, text in zip(tokens, texts, strict=True):
        row[: len(text)] = torch.tensor(text)
    logits, scores = network.run_decoder(tokens.to(network.device), features)
    threads = torch.get_num_threads()
    timings = []
    for number, task in enumerate(tasks):
        begin = len(task.tokenizer.sot_sequence)
        text_logits = logits[number, begin : begin + len(task.text_tokens), : task.tokenizer.eot]
        index = torch.tensor(task.text_tokens, device=text_logits.device)
        probabilities = text_logits.softmax(-1).gather(1, index[:, None])[:, 0].tolist()
        positions = task.frames // _FRAMES_PER_POSITION
        text_scores = scores[number, :, : len(texts[number]), :positions]
        timings.append(_word_timings(text_scores, begin, task, probabilities))
    # The warping starts numba's threads, which changes the number of torch's threads.
    if torch.get_num_threads() != threads:
        torch.set_num_threads(threads)
    return timings


def _word_timings(
    scores: Tensor, begin: int, task: AlignmentTask, probabilities: list[float]
) -> list[WordTiming]:
    """Words of one text, from the scores of the alignment heads (heads, tokens, positions)."""
    tokenizer = task.tokenizer
    words, tokens_by_word = tokenizer.split_to_word_tokens([*task.text_tokens, tokenizer.eot])
    if len(tokens_by_word) <= 1:
        return []
    weights = scores.softmax(-1)
    deviation, mean = torch.std_mean(weights, dim=-2, keepdim=True, unbiased=False)
    weights = median_filter((weights - mean) / deviation, _FILTER_WIDTH)
    text_indices, time_indices = dtw(-weights.mean(0)[begin:-1])
    # A token starts where the path first reaches its row.
    first_of_row = np.diff(text_indices, prepend=text_indices[0] - 1).astype(bool)
    times = time_indices[first_of_row] / TOKENS_PER_SECOND
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
