"""Whisper's vocabulary as byte-level BPE with merges, the form that other engines read.

openai-whisper has the vocabulary in tiktoken's form: the bytes of each token, in the order in which
the tokens were learned. The merge of a token is found by tokenizing its bytes with the tokens that
were learned before it. The two parts that remain are the merge (Sennrich et al. 2016, algorithm 1,
backwards).
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass

from whisper.tokenizer import get_encoding

from nightscribe.whisper.formats.tokens import letters


@dataclass(frozen=True)
class Vocabulary:
    """Tokens by their printable form, their merges, and the special tokens."""

    tokens: dict[str, int]
    merges: list[tuple[str, str]]
    special: list[str]  # in order of their ids, which follow those of `tokens`
    timestamps: list[str]  # their ids follow those of the special tokens


def vocabulary(*, multilingual: bool, languages: int) -> Vocabulary:
    """The vocabulary of a checkpoint with this number of language tokens."""
    name = "multilingual" if multilingual else "gpt2"
    encoding = get_encoding(name, num_languages=languages)
    ranks: dict[bytes, int] = encoding._mergeable_ranks
    letter_of = letters()

    def printable(token: bytes) -> str:
        return "".join(letter_of[byte] for byte in token)

    tokens = {printable(token): rank for token, rank in ranks.items()}
    merges = [
        (printable(left), printable(right))
        for token, rank in sorted(ranks.items(), key=lambda item: item[1])
        if len(token) > 1
        for left, right in [_parts(token, rank, ranks)]
    ]
    ordered = sorted(encoding._special_tokens, key=encoding._special_tokens.__getitem__)
    first_stamp = ordered.index("<|0.00|>")
    return Vocabulary(tokens, merges, ordered[:first_stamp], ordered[first_stamp:])


def _parts(token: bytes, rank: int, ranks: dict[bytes, int]) -> tuple[bytes, bytes]:
    """The two parts of a token: merges its bytes with all tokens of a lower rank."""
    parts = [bytes([byte]) for byte in token]
    while len(parts) > 2:
        pairs = itertools.pairwise(parts)
        known, place = min(
            (ranks.get(left + right, rank), place) for place, (left, right) in enumerate(pairs)
        )
        if known >= rank:
            raise ValueError(f"token {rank} of the vocabulary, {token!r}, has no merge")
        parts[place : place + 2] = [parts[place] + parts[place + 1]]
    return parts[0], parts[1]
