"""Which tokens may come next: Whisper's rules, as operations on all rows at once.

A row's text alternates between timestamps and words: start of a segment, its words, its end,
start of the next one. Timestamps never go back. If the timestamps together are more probable than
every other single token, the next token is a timestamp (Radford et al. 2022, section 4.5).
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from whisper.tokenizer import Tokenizer

__all__ = ["RowTexts", "SpecialTokens", "apply_token_rules", "suppressed_tokens"]


@dataclass(frozen=True)
class SpecialTokens:
    """The tokens that the rules name. Timestamps have the highest ids of all tokens."""

    eot: int
    timestamp_begin: int  # the first timestamp: 0.00
    blank: tuple[int, ...]  # what an empty text would start with

    @classmethod
    def of(cls, tokenizer: Tokenizer) -> SpecialTokens:
        """The special tokens of a tokenizer."""
        return cls(tokenizer.eot, tokenizer.timestamp_begin, tuple(tokenizer.encode(" ")))


@dataclass
class RowTexts:
    """What the rules need to know of each row's text. Shape (rows,) if not stated."""

    sampled: Tensor  # number of tokens sampled so far
    last: Tensor  # the last token
    before_last: Tensor
    last_timestamp: Tensor  # index of the last timestamp; -1: none
    max_first_timestamp: Tensor  # index of the latest timestamp that may come first
    with_timestamps: Tensor  # bool: whether timestamps are wanted
    blank_allowed: Tensor  # bool: whether the text may be empty
    suppressed: Tensor  # (rows or 1, vocabulary): -inf for tokens that never come, 0 for others


def apply_token_rules(logits: Tensor, texts: RowTexts, special: SpecialTokens) -> Tensor:
    """Set the logits (rows, vocabulary) of tokens that must not come next to -inf, in place."""
    zero, eot = special.timestamp_begin, special.eot
    # Adding -inf or 0 takes a tenth of the time of a masked fill on a CPU.
    logits += texts.suppressed
    first = texts.sampled == 0
    for token in (*special.blank, eot):
        logits[:, token].masked_fill_(first & ~texts.blank_allowed, -torch.inf)
    timed = texts.with_timestamps
    after_timestamp = (texts.sampled >= 1) & (texts.last >= zero)
    timestamp_before = (texts.sampled < 2) | (texts.before_last >= zero)
    # A complete pair of timestamps: words or the end must follow. Half a pair: a timestamp or the
    # end must follow.
    no_timestamps = after_timestamp & timestamp_before
    no_words = after_timestamp & ~timestamp_before
    earliest = torch.where(texts.last_timestamp < 0, 0, texts.last_timestamp + (~no_words).long())
    latest = torch.where(first, texts.max_first_timestamp, logits.shape[1] - zero - 1)
    index = torch.arange(logits.shape[1] - zero, device=logits.device)
    forbidden = (index < earliest[:, None]) | (index > latest[:, None]) | no_timestamps[:, None]
    logits[:, zero:].masked_fill_(forbidden & timed[:, None], -torch.inf)
    logits[:, :eot] += _minus_infinity(timed & (no_words | first))
    logits[:, eot:zero] += _minus_infinity(timed & first)
    # The softmax has the same normalizer on both sides, so logits can be compared without it.
    timestamps = logits[:, zero:].logsumexp(-1)
    best_other = logits[:, :zero].amax(-1)
    logits[:, :zero] += _minus_infinity(timed & (timestamps > best_other))
    return logits


def suppressed_tokens(tokenizer: Tokenizer, given: str, *, timed: bool) -> tuple[int, ...]:
    """Tokens that never come in a text, from the option `suppress_tokens`.

    -1 among the given ids stands for all tokens that are no speech. As in the reference, an empty
    list suppresses not even the special tokens.
    """
    if not given:
        return (tokenizer.no_timestamps,) if timed else ()
    tokens = {int(token) for token in given.split(",")}
    if -1 in tokens:
        tokens = {token for token in tokens if token >= 0} | set(tokenizer.non_speech_tokens)
    tokens |= {tokenizer.transcribe, tokenizer.translate, tokenizer.sot}
    tokens |= {tokenizer.sot_prev, tokenizer.sot_lm}
    if timed:
        tokens.add(tokenizer.no_timestamps)
    if tokenizer.no_speech is not None:
        tokens.add(tokenizer.no_speech)
    return tuple(sorted(tokens))


def _minus_infinity(rows: Tensor) -> Tensor:
    """-inf for rows (rows,) that are True, else 0: to be added to their logits."""
    return torch.where(rows, -torch.inf, 0.0)[:, None]
