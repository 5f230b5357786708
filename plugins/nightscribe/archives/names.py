"""Hidden names, which are ignored, and unsafe names, which are rejected."""

from __future__ import annotations

import re

from nightscribe.errors import Reason, Rejected

__all__ = ["is_hidden", "is_unsafe", "unsafe_name"]

_ROOTED = re.compile(r"[/\\]|[A-Za-z]:[/\\]")
_SEPARATORS = re.compile(r"[/\\]")


def is_hidden(name: str) -> bool:
    """Whether a file or folder with this name is ignored."""
    return (name.startswith(".") and name != "..") or name == "__MACOSX"


def is_unsafe(path: str) -> bool:
    """Whether a member path could name a file outside its archive."""
    return "\0" in path or _ROOTED.match(path) is not None or ".." in _SEPARATORS.split(path)


def unsafe_name() -> Rejected:
    """The rejection for an unsafe path."""
    return Rejected(
        Reason.UNSAFE_MEMBER_NAME,
        "the name is absolute, contains `..`, names a drive, or contains a NUL",
    )
