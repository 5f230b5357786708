"""What a person types: words, "phrases" and prefixes (`farm*`). A hit has all of them.

There are no other operators. `AND`, `-` or `title:` are words and signs like any others, so that
nothing that is typed or pasted is an error.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import regex

from nightscribe.errors import ConfigurationError
from nightscribe.search.words import words_of

__all__ = ["LONGEST", "Part", "parts_of"]

LONGEST = 400
"""Characters of a query. A longer one is a mistake, and would take long."""

_PART = regex.compile(r'"(?P<quoted>[^"]*)"?(?P<star>\*?)|(?P<bare>[^\s"]+)')


@dataclass(frozen=True)
class Part:
    """Words that stand one after the other in a hit: a phrase, or a single word.

    Attributes:
        is_prefix: whether the last word may go on
    """

    words: tuple[str, ...]
    is_prefix: bool = False


def parts_of(query: str) -> Sequence[Part]:
    """The parts of a query; none if it has no letter and no digit.

    Raises:
        ConfigurationError: the query is too long.

    >>> [part.words for part in parts_of('Müller "the old farm" AND 3.5')]
    [('muller',), ('the', 'old', 'farm'), ('and',), ('3', '5')]
    >>> parts_of("hay*")
    [Part(words=('hay',), is_prefix=True)]
    """
    if len(query) > LONGEST:
        raise ConfigurationError(
            f"the query has {len(query):,} characters: at most {LONGEST} can be searched for"
        )
    parts: list[Part] = []
    for found in _PART.finditer(query):
        text = found["bare"] if found["bare"] is not None else found["quoted"]
        has_star = bool(found["star"]) or text.endswith("*")
        words = list(words_of(text))
        if words:
            # A single character of a script without spaces finds every word that it begins.
            part = Part(tuple(w.text for w in words), has_star and words[-1].is_spaced)
            if part not in parts:
                parts.append(part)
    return parts
