"""Two texts unit by unit: which words of a transcript another text has, lacks, or has otherwise.

A unit is a word. In a script without spaces between words (Chinese, Japanese, Thai, Lao, Khmer,
Burmese), it is a character. Case, punctuation and forms of the same letter do not count.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from functools import cached_property, lru_cache
from itertools import accumulate
from typing import NamedTuple
from unicodedata import normalize

import regex

from nightscribe.search.words import UNSPACED
from nightscribe.web.aligning import changes_between

__all__ = ["Comparison", "Kind", "Piece", "compare"]

_UNIT = regex.compile(
    rf"(?V1)[[{UNSPACED}]&&[\p{{L}}\p{{N}}]][[{UNSPACED}]&&\p{{M}}]*"
    # Apostrophes and points belong to a word between its letters and digits: don't, 1,000, 3.5.
    rf"|(?:(?![{UNSPACED}])[\p{{L}}\p{{M}}\p{{N}}]|(?<=\p{{L}})['’](?=\p{{L}})"
    rf"|(?<=\p{{N}})[.,](?=\p{{N}}))+"
)
_IGNORED = str.maketrans("", "", "'’")
_UNSPACED = regex.compile(rf"[{UNSPACED}]")


class Kind(StrEnum):
    """What a stretch of a transcript is beside the other text."""

    SAME = "same"
    REPLACED = "replaced"
    MISSING = "missing"
    ADDED = "added"


class Piece(NamedTuple):
    """A stretch of a segment.

    Attributes:
        start, end: where its own text lies in the segment's text; equal for a missing one
        other: what the other text has instead, for a replaced or missing one
    """

    kind: Kind
    start: int
    end: int
    other: str = ""


class _Change(NamedTuple):
    """Units `start` to `end` of the transcript stand for `other_start` to `other_end`."""

    kind: Kind
    start: int
    end: int
    other_start: int
    other_end: int


Span = tuple[int, int]
"""Start and end of a unit in its text."""


@dataclass(frozen=True)
class Comparison:
    """The segments of a transcript beside another text.

    Attributes:
        unit: `word` or `character`
        replaced, missing, added: units; the first two of the other text
    """

    unit: str
    replaced: int
    missing: int
    added: int
    _segments: Sequence[str]
    _spans: Sequence[Sequence[Span]]  # by segment
    _other: str
    _other_spans: Sequence[Span]
    _changes: Sequence[_Change]

    @property
    def units(self) -> int:
        """Units of the other text."""
        return len(self._other_spans)

    @property
    def differ(self) -> int:
        """All changes."""
        return self.replaced + self.missing + self.added

    @property
    def is_empty(self) -> bool:
        """Whether the transcript has no unit, so that no segment can show what is missing."""
        return self._firsts[-1] == 0

    @cached_property
    def _firsts(self) -> list[int]:
        """The first unit of each segment, and the number of all."""
        return list(accumulate((len(spans) for spans in self._spans), initial=0))

    def wrong(self, segment: int) -> tuple[int, int]:
        """Units of a segment, and how many of them are replaced or added."""
        first, last = self._firsts[segment], self._firsts[segment + 1]
        changed = sum(
            min(one.end, last) - max(one.start, first)
            for one in self._within(first, last)
            if one.kind is not Kind.MISSING
        )
        return last - first, changed

    def pieces(self, segment: int) -> list[Piece]:
        """The pieces of a segment: their own texts together are its text."""
        first, last = self._firsts[segment], self._firsts[segment + 1]
        text, spans = self._segments[segment], self._spans[segment]
        found: list[Piece] = []
        at = 0
        for one in self._within(first, last):
            start, end = max(one.start, first), min(one.end, last)
            if one.kind is Kind.REPLACED:
                other_start = one.other_start + start - one.start
                other_end = other_start + end - start
            else:
                other_start, other_end = one.other_start, one.other_end
            begins = spans[start - first][0] if start < last else len(text)
            ends = begins if start == end else self._end(text, spans, end - first)
            if begins > at:
                found.append(Piece(Kind.SAME, at, begins))
            found.append(Piece(one.kind, begins, ends, self._other_text(other_start, other_end)))
            at = ends
        if at < len(text):
            found.append(Piece(Kind.SAME, at, len(text)))
        return found

    def _within(self, first: int, last: int) -> Iterator[_Change]:
        """The changes of units `first` to `last`.

        What is missing belongs to the unit behind it, or else to the last segment with units.
        """
        total = self._firsts[-1]
        # The first change whose last unit is not before the segment.
        index = bisect_left(self._changes, first, key=lambda one: max(one.end - 1, one.start))
        while last > first and index < len(self._changes):
            one = self._changes[index]
            if one.start >= last and not one.start == last == total:
                return
            yield one
            index += 1

    def _end(self, text: str, spans: Sequence[Span], unit: int) -> int:
        """Where a stretch before `unit` ends: with its punctuation, without the space behind it."""
        following = spans[unit][0] if unit < len(spans) else len(text)
        return max(spans[unit - 1][1], len(text[:following].rstrip()))

    def _other_text(self, start: int, end: int) -> str:
        if start == end:
            return ""
        return self._other[self._other_spans[start][0] : self._other_spans[end - 1][1]]


def compare(segments: Sequence[str], other: str) -> Comparison:
    """Compare the texts of a transcript's segments with another text."""
    numbers: dict[str, int] = {}
    spans: list[list[Span]] = []
    keys: list[int] = []
    for text in segments:
        found = _spans(text)
        spans.append(found)
        keys += [numbers.setdefault(_key(text[a:b]), len(numbers)) for a, b in found]
    other_spans = _spans(other)
    other_keys = [numbers.setdefault(_key(other[a:b]), len(numbers)) for a, b in other_spans]
    changes = [_Change(_KINDS[tag], *places) for tag, *places in changes_between(keys, other_keys)]
    count = dict.fromkeys(Kind, 0)
    for one in changes:
        count[one.kind] += max(one.end - one.start, one.other_end - one.other_start)
    first_letters = [other[start] for start, _ in other_spans[:1000]] or [
        text[start] for text, own in zip(segments, spans, strict=True) for start, _ in own
    ]
    unspaced = sum(bool(_UNSPACED.match(letter)) for letter in first_letters)
    return Comparison(
        unit="character" if 2 * unspaced > len(first_letters) else "word",
        replaced=count[Kind.REPLACED],
        missing=count[Kind.MISSING],
        added=count[Kind.ADDED],
        _segments=segments,
        _spans=spans,
        _other=other,
        _other_spans=other_spans,
        _changes=changes,
    )


def _spans(text: str) -> list[Span]:
    return [found.span() for found in _UNIT.finditer(text)]


@lru_cache(2**16)
def _key(unit: str) -> str:
    return normalize("NFKC", unit).casefold().translate(_IGNORED)


_KINDS = {"replace": Kind.REPLACED, "delete": Kind.ADDED, "insert": Kind.MISSING}
"""RapidFuzz names what turns the transcript into the other text."""
