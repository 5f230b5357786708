"""Spools: seekable copies of members that cannot be read in place.

A spooled member is held in memory up to `ArchiveLimits.spool_bytes`, and in an unnamed temporary
file beyond that. The file is gone when the last process that has it open closes it: a member is
kept while it waits for a decoder.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from contextlib import suppress
from typing import BinaryIO, Protocol, cast

from nightscribe.errors import Reason, Rejected, explain_full_disk
from nightscribe.settings import MIB, ArchiveLimits

__all__ = ["CHUNK_BYTES", "Readable", "check_member_size", "spool"]

CHUNK_BYTES = MIB
"""Bytes per read of a stream."""

_RATIO_GRACE = MIB  # expanded bytes up to which the ratio of a member is not checked


class Readable(Protocol):
    """A stream of bytes that can only be read forwards."""

    def read(self, size: int, /) -> bytes: ...


@explain_full_disk()
def spool(
    source: Readable,
    size_bytes: int,
    limits: ArchiveLimits,
    *,
    account: Callable[[int], None] | None = None,
    ceiling: int | None = None,
) -> BinaryIO:
    """Copy a stream into a seekable file.

    Args:
        size_bytes: expected size, only a hint
        account: is called with the size of each chunk
        ceiling: more bytes than this (and more than 1 MiB) are a decompression bomb

    Raises:
        Rejected: ARCHIVE_LIMIT, the stream exceeds a limit.
        NightscribeError: the temporary folder is full.
    """
    spooled = tempfile.SpooledTemporaryFile(max_size=limits.spool_bytes)  # noqa: SIM115
    target = cast(BinaryIO, spooled)
    done = 0
    try:
        if size_bytes > limits.spool_bytes:
            spooled.rollover()
        while chunk := source.read(CHUNK_BYTES):
            done += len(chunk)
            if account is not None:
                account(len(chunk))
            check_member_size(done, limits, ceiling)
            target.write(chunk)
        target.seek(0)
    except BaseException:
        with suppress(OSError):  # closing flushes the buffer, which may fail again
            target.close()
        raise
    return target


def check_member_size(expanded: int, limits: ArchiveLimits, ceiling: int | None = None) -> None:
    """Raise `Rejected` if the expanded size of a member exceeds a limit."""
    if expanded > limits.max_member_bytes:
        raise Rejected(
            Reason.ARCHIVE_LIMIT, f"expands to more than {limits.max_member_bytes} bytes"
        )
    if ceiling is not None and expanded > max(ceiling, _RATIO_GRACE):
        raise Rejected(
            Reason.ARCHIVE_LIMIT, f"expands to more than {limits.max_ratio:g} times its size"
        )
