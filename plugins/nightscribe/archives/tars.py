"""Tars, plain or compressed, read forwards with limits on their expanded size."""

from __future__ import annotations

import bz2
import functools
import gzip
import io
import lzma
import tarfile
from collections.abc import Iterator
from typing import BinaryIO, cast

from nightscribe.archives.container import Container, ContainerRejected, Entry
from nightscribe.archives.spooling import (
    CHUNK_BYTES,
    Readable,
    check_member_size,
    spool,
)
from nightscribe.errors import Reason, Rejected
from nightscribe.file_slice import open_slice
from nightscribe.settings import MIB

__all__ = ["tar_entries"]

# A compressed tar has one stream for all members, so the ratio is measured over the container from
# its start. Half an hour of digital silence at the start must not look like a bomb.
_RATIO_GRACE = 64 * MIB
_HEADER_LIMIT = MIB  # bytes of one tar header; extended headers hold names and attributes


def tar_entries(container: Container) -> Iterator[Entry]:
    """The members of a tar, in their order.

    Raises:
        Rejected: the tar is damaged, or its expanded size exceeds a limit.
        Exceptions of `container.DAMAGE`: it is damaged, as `tarfile` or a decompressor reports.
    """
    stream = _Stream(container)
    with tarfile.TarFile(
        fileobj=cast(BinaryIO, stream), mode="r", encoding="utf-8", errors="surrogateescape"
    ) as archive:
        while (info := archive.next()) is not None:
            # Otherwise tarfile keeps all members in memory while the archive is open.
            archive.members.clear()  # type: ignore[attr-defined]
            yield Entry(
                name=info.name,
                is_folder=info.isdir(),
                size_bytes=info.size,
                version=str(int(info.mtime)),
                open=functools.partial(_open, container, stream, info),
            )
    if stream.last.strip(b"\0"):
        raise Rejected(
            Reason.CORRUPT_ARCHIVE, f"damaged before byte {stream.tell()}; the rest is unread"
        )
    while stream.compressed and stream.read(CHUNK_BYTES):
        # Read to the end, where the compressed stream has its check sum.
        continue


class _Stream:
    """The file interface that tarfile needs, over a stream that can only be read forwards.

    tarfile reads a header of any stated length at once: `read` refuses long ones. It also takes
    damage after the first member for the end of the tar: `last`, the last bytes that were read,
    shows the difference, since a tar ends with zeros.
    """

    def __init__(self, container: Container) -> None:
        raw = container.raw
        magic = raw.read(6)
        raw.seek(0)
        self._source: Readable = raw
        self.compressed = True
        if magic.startswith(b"\x1f\x8b"):
            self._source = gzip.GzipFile(fileobj=raw)
        elif magic.startswith(b"BZh"):
            self._source = bz2.BZ2File(raw)
        elif magic.startswith(b"\xfd7zXZ\0"):
            self._source = lzma.LZMAFile(raw)  # noqa: SIM115
        else:
            self.compressed = False
        self._container = container
        self._position = 0
        self.last = b""

    def tell(self) -> int:
        return self._position

    def read(self, size: int) -> bytes:
        if size > _HEADER_LIMIT:
            raise ContainerRejected(
                Reason.ARCHIVE_LIMIT,
                f"a header of {size} bytes at byte {self._position}",
            )
        self.last = self._source.read(size)
        self._position += len(self.last)
        if self.compressed:
            self._container.expand(len(self.last))
            self._check_ratio()
        return self.last

    def seek(self, position: int) -> None:
        if not self.compressed:
            self._container.raw.seek(position)
            self._position = position
            return
        if position < self._position:
            raise io.UnsupportedOperation("a compressed tar is read forwards only")
        while self._position < position:
            if not self.read(min(position - self._position, CHUNK_BYTES)):
                raise ContainerRejected(
                    Reason.CORRUPT_ARCHIVE, f"ends at byte {self._position}, inside a member"
                )

    def _check_ratio(self) -> None:
        ratio = self._container.limits.max_ratio
        if self._position > max(_RATIO_GRACE, ratio * self._container.raw.tell()):
            raise ContainerRejected(
                Reason.ARCHIVE_LIMIT, f"expands to more than {ratio:g} times its size"
            )


class _Content:
    """The next `size` bytes of a tar stream, as a stream."""

    def __init__(self, stream: _Stream, size: int) -> None:
        self._stream = stream
        self._left = size

    def read(self, size: int) -> bytes:
        if self._left == 0:
            return b""
        data = self._stream.read(min(size, self._left))
        if not data:
            raise ContainerRejected(
                Reason.CORRUPT_ARCHIVE,
                f"ends at byte {self._stream.tell()}, {self._left} bytes before its member does",
            )
        self._left -= len(data)
        return data


def _open(container: Container, stream: _Stream, info: tarfile.TarInfo) -> BinaryIO:
    if not info.isreg():
        raise Rejected(Reason.LINK_MEMBER, "a link or device, not a file")
    if info.issparse():
        raise Rejected(Reason.UNREADABLE, "a sparse member; pack it without --sparse")
    if info.size == 0:
        raise Rejected(Reason.EMPTY_FILE, "the member has no bytes")
    check_member_size(info.size, container.limits)
    if container.descriptor is not None and not stream.compressed:
        if info.offset_data + info.size > container.size_bytes:
            raise ContainerRejected(
                Reason.CORRUPT_ARCHIVE,
                f"ends at byte {container.size_bytes}, inside the member {info.name!r}",
            )
        return open_slice(container.descriptor, info.offset_data, info.size)
    stream.seek(info.offset_data)
    # The stream itself adds to the expanded size.
    return spool(_Content(stream, info.size), info.size, container.limits)
