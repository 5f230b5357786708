"""A stretch of an open file on disk as a file of its own, which another process can be given."""

from __future__ import annotations

import errno
import io
import os
import stat
import tempfile
from typing import BinaryIO, cast

__all__ = ["FileSlice", "open_slice", "slice_of"]

_BUFFER_BYTES = 256 * 1024


class FileSlice(io.RawIOBase):
    """`size` bytes of an open file from `start` on. Leaves the file's own position alone.

    The descriptor belongs to whoever opened it: closing a slice does not close it.
    """

    def __init__(self, descriptor: int, start: int, size: int) -> None:
        self.descriptor = descriptor
        self.start = start
        self.size = size
        self._position = 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._position

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        base = {os.SEEK_SET: 0, os.SEEK_CUR: self._position, os.SEEK_END: self.size}[whence]
        if base + offset < 0:
            raise OSError(errno.EINVAL, f"cannot seek to {base + offset}")
        self._position = base + offset
        return self._position

    def readinto(self, buffer: bytearray | memoryview) -> int:  # type: ignore[override]
        count = min(len(buffer), max(self.size - self._position, 0))
        data = os.pread(self.descriptor, count, self.start + self._position)
        buffer[: len(data)] = data
        self._position += len(data)
        return len(data)


def open_slice(descriptor: int, start: int, size: int) -> BinaryIO:
    """A slice with a buffer around it."""
    return cast(BinaryIO, io.BufferedReader(FileSlice(descriptor, start, size), _BUFFER_BYTES))


def slice_of(file: BinaryIO) -> FileSlice | None:
    """Where a file's bytes lie on disk; None if they do not, or not as they are read."""
    raw = getattr(file, "raw", None)  # what a buffered file reads from
    if isinstance(raw, FileSlice):
        return raw
    # A spooled file has a name once it has left the memory; asking for its descriptor before
    # would move it to disk.
    spooled = isinstance(file, tempfile.SpooledTemporaryFile) and file.name is not None
    if not spooled and not isinstance(raw, io.FileIO):
        return None
    status = os.fstat(file.fileno())
    return FileSlice(file.fileno(), 0, status.st_size) if stat.S_ISREG(status.st_mode) else None
