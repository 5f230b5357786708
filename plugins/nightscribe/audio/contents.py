"""Encoded bytes on their way to a worker process: as they lie on disk, or copied if they do not."""

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

_HELD_BYTES = 64 * 1024**2  # what is not on disk waits in memory up to this size
_COPIED_BYTES = 1024**2  # at a time


@dataclass(eq=False)
class Recording:
    """A recording on its way through the workers."""

    number: int  # in the order in which they are handed in
    content: Content
    size: int  # bytes; of a path, a guess
    memory_bytes: int = 0  # that it takes while it waits
    stamp: tuple[int, int] | None = None  # of an open file; see `_stamp`
    out: BinaryIO | None = None  # what the worker writes to

    @classmethod
    def of(cls, number: int, encoded: BinaryIO | str) -> Recording:
        """A file, which may be closed afterwards, or a path. Raises `OSError` for the former."""
        if isinstance(encoded, str):
            return cls(number, encoded, _HELD_BYTES)  # as if it were large
        found = slice_of(encoded)
        if found is not None and found.size > INLINE_BYTES:
            content = FileSlice(os.dup(found.descriptor), found.start, found.size)
            return cls(number, content, found.size, stamp=_stamp(content))
        encoded.seek(0)
        first = encoded.read(INLINE_BYTES + 1)
        if len(first) <= INLINE_BYTES:
            return cls(number, first, len(first), len(first))
        copy, memory_bytes = _copied(first, encoded)
        return cls(number, copy, copy.size, memory_bytes)

    def has_changed(self) -> bool:
        """Whether the file was written to since it was handed in."""
        if not isinstance(self.content, FileSlice) or self.stamp is None:
            return False
        return self.stamp != _stamp(self.content)

    def close_encoded(self) -> None:
        """Give up the encoded bytes, and leave what was written."""
        if isinstance(self.content, FileSlice):
            os.close(self.content.descriptor)
        self.content = b""

    def close(self) -> None:
        """Give up the encoded bytes and what was written."""
        self.close_encoded()
        if self.out is not None:
            self.out.close()


def _stamp(content: FileSlice) -> tuple[int, int]:
    """A file's size and time of change."""
    status = os.fstat(content.descriptor)
    return status.st_size, status.st_mtime_ns


@explain_full_disk()
def _copied(first: bytes, rest: BinaryIO) -> tuple[FileSlice, int]:
    """A copy of a recording in a file without a name, and the memory that it takes."""
    first += rest.read(_HELD_BYTES - len(first))
    in_memory = len(first) < _HELD_BYTES
    copy: Any = os.fdopen(os.memfd_create("encoded"), "wb") if in_memory else TemporaryFile()  # noqa: SIM115
    with copy:
        copy.write(first)
        shutil.copyfileobj(rest, copy, _COPIED_BYTES)
        copy.flush()
        content = FileSlice(os.dup(copy.fileno()), 0, copy.tell())
        return content, content.size if in_memory else 0
