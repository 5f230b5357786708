"""What a person must put right before anything can be scored."""

from __future__ import annotations


class InputError(ValueError):
    """A file that cannot be used. The message names the file, the place in it and what to do."""
