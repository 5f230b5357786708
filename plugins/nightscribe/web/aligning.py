"""Which units of two sequences differ, with the fewest changes, in linear memory.

RapidFuzz aligns. Its time grows with the product of the lengths, so sequences beyond `_LONGEST`
units are cut first: at passages that both have once, and where there are none, by proportion. A
cut of the second kind may add changes. 150,000 words take half a second.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray
from rapidfuzz.distance import Levenshtein

__all__ = ["changes_between"]

_LONGEST = 8_000  # units that are aligned at once: about 5 ms
_ANCHOR = 8  # units of a passage that both have once
_BETWEEN = 1_000  # units between two cuts at least: a cut may hide a better alignment around it


def changes_between(ours: list[int], theirs: list[int]) -> Iterator[tuple[str, int, int, int, int]]:
    """What turns `ours` into `theirs`: `replace`, `delete` or `insert`, and both ranges, in order.

    A replacement has as many units on both sides.
    """
    for (a, b), (a_end, b_end) in pairwise(_cuts(ours, theirs)):
        for one in Levenshtein.opcodes(ours[a:a_end], theirs[b:b_end]):
            if one.tag != "equal":
                yield (
                    one.tag,
                    a + one.src_start,
                    a + one.src_end,
                    b + one.dest_start,
                    b + one.dest_end,
                )


def _cuts(ours: list[int], theirs: list[int]) -> list[tuple[int, int]]:
    """Where both are cut, their ends included: no block between two cuts is larger than allowed."""
    ends = len(ours), len(theirs)
    cuts = [(0, 0)]
    anchors = _anchors(np.array(ours), np.array(theirs)) if max(ends) > _LONGEST else []
    for before, (a, b) in pairwise([(0, 0), *anchors, ends]):
        last_a, last_b = cuts[-1]
        if before > cuts[-1] and max(a - last_a, b - last_b) > _LONGEST:
            # One text has a long passage between these two anchors.
            cuts.append(before)
            last_a, last_b = before
        if (a, b) != ends and min(a - last_a, b - last_b) < _BETWEEN:
            continue
        size = (a - last_a) * (b - last_b)
        parts = -(-max(a - last_a, b - last_b) // _LONGEST) if size > _LONGEST**2 else 1
        cuts += [
            (last_a + (a - last_a) * part // parts, last_b + (b - last_b) * part // parts)
            for part in range(1, parts)
        ]
        cuts.append((a, b))
    return cuts


def _anchors(ours: NDArray[np.int64], theirs: NDArray[np.int64]) -> list[tuple[int, int]]:
    """Where passages begin that each of both has once: the longest rising sequence of places."""
    (passages, places), (other_passages, other_places) = _single(ours), _single(theirs)
    _, left, right = np.intersect1d(
        passages, other_passages, assume_unique=True, return_indices=True
    )
    pairs = sorted(zip(places[left].tolist(), other_places[right].tolist(), strict=True))
    # Patience sorting: `tops[n]` is the pair that ends the best sequence of n + 1 pairs.
    tops: list[int] = []
    at: list[int] = []
    before: list[int] = []
    for index, (_, place) in enumerate(pairs):
        length = bisect_left(tops, place)
        before.append(at[length - 1] if length else -1)
        tops[length : length + 1] = [place]
        at[length : length + 1] = [index]
    chain = []
    index = at[-1] if at else -1
    while index >= 0:
        chain.append(pairs[index])
        index = before[index]
    return chain[::-1]


def _single(keys: NDArray[np.int64]) -> tuple[NDArray[np.uint64], NDArray[np.int64]]:
    """The passages that occur once, as numbers, and where each begins."""
    values, first, count = np.unique(_hashes(keys), return_index=True, return_counts=True)
    return values[count == 1], first[count == 1].astype(np.int64)


def _hashes(keys: NDArray[np.int64]) -> NDArray[np.uint64]:
    """A number for each passage of `_ANCHOR` units."""
    length = max(0, len(keys) - _ANCHOR + 1)
    found = np.zeros(length, dtype=np.uint64)
    for offset in range(_ANCHOR):
        # Overflow is meant: a multiplicative hash (Knuth, TAOCP 3, 6.4), of 64 bits.
        found = (found ^ keys[offset : offset + length].astype(np.uint64)) * np.uint64(
            0x9E3779B97F4A7C15
        )
        found ^= found >> np.uint64(29)
    return found
