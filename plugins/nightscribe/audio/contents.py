"""The encoded bytes of a recording in a form that a worker process can read.

A file on disk is passed as an open file descriptor. Other files are copied: small ones into the
job's packet, larger ones into memory or a temporary file.
"""

from __future__ import annotations

import os
import shutil
from dataclasses import dataclass
from tempfile import TemporaryFile
from typing import Any, BinaryIO

from nightscribe.audio.worker_program import INLINE_BYTES, Content
from nightscribe.errors import explain_full_disk
from nightscribe.file_slice import FileSlice, slice_of

__all__ = ["Recording"]

_MEMORY_BYTES = 64 * 1024**2  # copies up to this size are in memory, larger ones on disk
_COPY_CHUNK_BYTES = 1024**2


@dataclass(eq=False)
class Recording:
    """A recording that was submitted to the workers."""

    number: int  # in the order of submission
    content: Content
    size: int  # bytes
    memory_bytes: int = 0  # memory that `content` takes
    disk_bytes: int = 0  # of the temporary folder that `content` takes, until it is closed
    stamp: tuple[int, int] | None = None  # of an open file; see `_stamp`
    out: BinaryIO | None = None  # the file that the worker writes to
    killed: bool = False  # a worker was killed while it decoded this

    @classmethod
    def of(cls, number: int, encoded: BinaryIO | str) -> Recording:
        """From a path, or from an open file, which may then be closed.

        Raises `OSError` if it cannot be opened or read.
        """
        if isinstance(encoded, str):
            with open(encoded, "rb") as file:
                return cls.of(number, file)
        found = slice_of(encoded)
        if found is not None and found.size > INLINE_BYTES:
            content = FileSlice(os.dup(found.descriptor), found.start, found.size)
            spooled = found.size if os.fstat(content.descriptor).st_nlink == 0 else 0
            return cls(number, content, found.size, disk_bytes=spooled, stamp=_stamp(content))
        encoded.seek(0)
        first = encoded.read(INLINE_BYTES + 1)
        if len(first) <= INLINE_BYTES:
            return cls(number, first, len(first), len(first))
        copy, in_memory = _copied(first, encoded)
        memory_bytes, disk_bytes = (copy.size, 0) if in_memory else (0, copy.size)
        return cls(number, copy, copy.size, memory_bytes, disk_bytes)

    def has_changed(self) -> bool:
        """Whether the open file was written to since it was submitted."""
        if not isinstance(self.content, FileSlice) or self.stamp is None:
            return False
        return self.stamp != _stamp(self.content)

    def close_encoded(self) -> None:
        """Release the encoded bytes; keep `out` open."""
        if isinstance(self.content, FileSlice):
            os.close(self.content.descriptor)
        self.content = b""

    def discard_output(self) -> None:
        """Close `out`: what a killed worker has written is not used."""
        if self.out is not None:
            self.out.close()
            self.out = None

    def close(self) -> None:
        """Release the encoded bytes and close `out`."""
        self.close_encoded()
        if self.out is not None:
            self.out.close()


def _stamp(content: FileSlice) -> tuple[int, int]:
    """A file's size in bytes and modification time in nanoseconds."""
    status = os.fstat(content.descriptor)
    return status.st_size, status.st_mtime_ns


@explain_full_disk()
def _copied(first: bytes, rest: BinaryIO) -> tuple[FileSlice, bool]:
    """A copy of a recording in an unnamed file, and whether that is in memory."""
    first += rest.read(_MEMORY_BYTES - len(first))
    in_memory = len(first) < _MEMORY_BYTES
    copy: Any = os.fdopen(os.memfd_create("encoded"), "wb") if in_memory else TemporaryFile()  # noqa: SIM115
    with copy:
        copy.write(first)
        shutil.copyfileobj(rest, copy, _COPY_CHUNK_BYTES)
        copy.flush()
        return FileSlice(os.dup(copy.fileno()), 0, copy.tell()), in_memory
