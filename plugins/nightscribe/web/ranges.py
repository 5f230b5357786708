"""Byte ranges of a file that is sent to a player (RFC 9110, section 14)."""

from __future__ import annotations

import re

__all__ = ["NotSatisfiable", "byte_range"]

_RANGE = re.compile(r"bytes=(\d{0,18})-(\d{0,18})")


class NotSatisfiable(ValueError):
    """A range has no byte of the file."""


def byte_range(header: str | None, size: int) -> tuple[int, int] | None:
    """The first byte and the end of the range that a request asks for; None for the whole file.

    What is no single range of bytes is ignored, as the RFC allows.

    >>> byte_range("bytes=0-99", 1000), byte_range("bytes=-10", 1000)
    ((0, 100), (990, 1000))

    Raises:
        NotSatisfiable: the range begins behind the end
    """
    found = _RANGE.fullmatch(header.strip()) if header else None
    if found is None or found[1] == found[2] == "":
        return None
    if not found[1]:
        count = int(found[2])
        if count == 0:
            raise NotSatisfiable
        return max(0, size - count), size
    start = int(found[1])
    end = min(size, int(found[2]) + 1) if found[2] else size
    if found[2] and int(found[2]) < start:
        return None
    if start >= size:
        raise NotSatisfiable
    return start, end
