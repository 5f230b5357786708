"""A byte range of an open file on disk, as a file that can be passed to another process."""

from __future__ import annotations

import errno
import io
import os
import stat
import tempfile
from typing import BinaryIO, cast

__all__ = ["FileSlice", "RandomAccessFile", "ends_early", "open_slice", "slice_of"]

_BUFFER_BYTES = 256 * 1024


class RandomAccessFile(io.RawIOBase):
    """A read-only file of `size` bytes whose bytes `read_at` gives. It keeps its own position."""

    def __init__(self, size: int) -> None:
        self.size = size
        self._position = 0

    def read_at(self, position: int, count: int) -> bytes:
        """Up to `count` bytes from a position; fewer is no error, none is the end."""
        raise NotImplementedError

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
        data = self.read_at(self._position, len(buffer))
        buffer[: len(data)] = data
        self._position += len(data)
        return len(data)


class FileSlice(RandomAccessFile):
    """`size` bytes of an open file, beginning at offset `start`.

    Reading does not move the position of the open file. Closing the slice does not close the
    descriptor. Reading raises `OSError` if the open file ends before the slice does.
    """

    def __init__(self, descriptor: int, start: int, size: int) -> None:
        super().__init__(size)
        self.descriptor = descriptor
        self.start = start

    def read_at(self, position: int, count: int) -> bytes:
        count = min(count, max(self.size - position, 0))
        data = os.pread(self.descriptor, count, self.start + position)
        if count and not data:
            raise ends_early(position, self.size)
        return data


def ends_early(position: int, size: int) -> OSError:
    """The error of a file that ends before its size."""
    return OSError(errno.EIO, f"ends at byte {position} of {size}")


def open_slice(descriptor: int, start: int, size: int) -> BinaryIO:
    """A buffered reader of a slice."""
    return cast(BinaryIO, io.BufferedReader(FileSlice(descriptor, start, size), _BUFFER_BYTES))


def slice_of(file: BinaryIO) -> FileSlice | None:
    """The bytes of an open file on disk, as a slice; None if they are not on disk unchanged.

    None is returned for a file in memory, and for a file whose bytes are decompressed or fetched.
    """
    raw = getattr(file, "raw", None)  # the file below a buffered reader
    if isinstance(raw, FileSlice):
        return raw
    # A spooled file has a name as soon as it is on disk. Before that, `fileno` would move it there.
    spooled = isinstance(file, tempfile.SpooledTemporaryFile) and file.name is not None
    if not spooled and not isinstance(raw, io.FileIO):
        return None
    status = os.fstat(file.fileno())
    return FileSlice(file.fileno(), 0, status.st_size) if stat.S_ISREG(status.st_mode) else None
