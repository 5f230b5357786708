"""Files that are written as a whole, or not at all."""

from __future__ import annotations

import os
import random
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

__all__ = ["whole_file"]


@contextmanager
def whole_file(target: Path) -> Iterator[Path]:
    """A path beside the target to write to; it replaces the target when the block ends well.

    If the block fails or is interrupted, the old file stays. What is no regular file, such as
    `/dev/stdout` or a pipe, is written in place. Raises `OSError` if its folder is none.
    """
    if target.exists() and not target.is_file():
        yield target
        return
    target = target.resolve()  # of a link, the file that it leads to is replaced
    try:
        os.close(os.open(target.parent, os.O_PATH | os.O_DIRECTORY))
    except (
        OSError
    ) as error:  # to write there would fail with the temporary name, which means nothing
        raise OSError(error.errno, error.strerror, str(target)) from error
    # Its name is short, or that of the target could be as long as names may be, and too long here.
    temporary = target.with_name(f".{random.getrandbits(64):016x}.tmp")
    try:
        yield temporary
        temporary.replace(target)
    finally:
        temporary.unlink(missing_ok=True)
