"""The known name that is nearest to a misspelt one, for messages."""

from __future__ import annotations

import difflib
from collections.abc import Iterable

__all__ = ["did_you_mean"]


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """A question that ends a message with the nearest known name; empty if none is near.

    >>> did_you_mean("Modle", ["model", "task"]), did_you_mean("x", ["model", "task"])
    (" (did you mean 'model'?)", '')
    """
    by_lower = {one.lower(): one for one in known}
    found = difflib.get_close_matches(name.lower(), by_lower, n=1, cutoff=0.6)
    return f" (did you mean {by_lower[found[0]]!r}?)" if found else ""
