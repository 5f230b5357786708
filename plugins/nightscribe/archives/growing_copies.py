"""Copies of members that grow as far as they are read, for a reader who may not read to the end."""

from __future__ import annotations

import errno
import tempfile
from collections.abc import Callable
from contextlib import suppress
from typing import BinaryIO

from nightscribe.archives.container import DAMAGE
from nightscribe.archives.spooling import CHUNK_BYTES, Readable, check_member_size
from nightscribe.errors import Rejected
from nightscribe.file_slice import RandomAccessFile, ends_early
from nightscribe.settings import ArchiveLimits

__all__ = ["GrowingCopy", "copied_bytes"]


class GrowingCopy(RandomAccessFile):
    """The next `size` bytes of a stream as a seekable file; takes the arguments of `spool`.

    Reading copies the stream up to there, into memory or a temporary file as `spool` does, and
    raises `OSError` for damage, for a limit, and if the stream has fewer bytes.
    """

    def __init__(
        self,
        source: Readable,
        size: int,
        limits: ArchiveLimits,
        *,
        account: Callable[[int], None] | None = None,
        ceiling: int | None = None,
    ) -> None:
        super().__init__(size)
        self._source = source
        self._limits = limits
        self._account = account
        self._ceiling = ceiling
        self._copy = tempfile.SpooledTemporaryFile(max_size=limits.spool_bytes)  # noqa: SIM115
        self.copied = 0  # bytes

    def read_at(self, position: int, count: int) -> bytes:
        end = min(position + count, self.size)
        while self.copied < end:
            self._copy_on(position)
        self._copy.seek(position)
        return self._copy.read(max(0, end - position))

    def close(self) -> None:
        with suppress(OSError):  # closing flushes the buffer, which may fail
            self._copy.close()
        super().close()

    def _copy_on(self, wanted: int) -> None:
        try:
            chunk = self._source.read(CHUNK_BYTES)
            if not chunk:
                raise ends_early(wanted, self.size)
            if self._account is not None:
                self._account(len(chunk))
            check_member_size(self.copied + len(chunk), self._limits, self._ceiling)
        except Rejected as rejected:
            raise OSError(errno.EIO, rejected.detail) from rejected
        except DAMAGE as error:
            raise OSError(errno.EIO, str(error) or type(error).__name__) from error
        self._copy.seek(self.copied)
        self._copy.write(chunk)
        self.copied += len(chunk)


def copied_bytes(file: BinaryIO, size: int) -> int:
    """Bytes of a file of this size that are copied now; 0 for one that is read in place."""
    if isinstance(file, GrowingCopy):
        return file.copied
    return size if isinstance(file, tempfile.SpooledTemporaryFile) else 0
