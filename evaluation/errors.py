"""What a person must put right before anything can be scored."""

from __future__ import annotations


class InputError(ValueError):
    """A file or folder that cannot be used. The message names it and says what to do."""
