"""Which parts of a text a query has found."""

from __future__ import annotations

from collections.abc import Sequence

from nightscribe.search.queries import Part
from nightscribe.search.words import Word, words_of

__all__ = ["marked"]


def marked(text: str, parts: Sequence[Part]) -> list[tuple[str, bool]]:
    """The text in pieces, each with whether it is found.

    >>> marked("The Farmer's hay.", [Part(("farm",), True), Part(("hay",))])
    [('The ', False), ('Farmer', True), ("'s ", False), ('hay', True), ('.', False)]
    """
    words = list(words_of(text))
    spans = sorted(
        (words[at].start, words[at + len(part.words) - 1].end)
        for part in parts
        for at in range(len(words) - len(part.words) + 1)
        if _is_at(part, words, at)
    )
    pieces: list[tuple[str, bool]] = []
    done = 0
    for start, end in _joined(spans):
        if start > done:
            pieces.append((text[done:start], False))
        pieces.append((text[start:end], True))
        done = end
    if done < len(text):
        pieces.append((text[done:], False))
    return pieces


def _is_at(part: Part, words: Sequence[Word], at: int) -> bool:
    *before, last = part.words
    end = words[at + len(before)].text
    return (end.startswith(last) if part.is_prefix else end == last) and all(
        word.text == wanted for word, wanted in zip(words[at:], before, strict=False)
    )


def _joined(spans: Sequence[tuple[int, int]]) -> list[tuple[int, int]]:
    """Sorted spans without overlaps."""
    joined: list[tuple[int, int]] = []
    for start, end in spans:
        if joined and start < joined[-1][1]:
            joined[-1] = joined[-1][0], max(end, joined[-1][1])
        else:
            joined.append((start, end))
    return joined
