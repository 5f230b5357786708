"""Tars, plain or compressed, read forwards with limits on their expanded size."""

from __future__ import annotations

import functools
import io
import tarfile
from collections.abc import Iterator
from typing import BinaryIO, Self, cast

from nightscribe.archives.compression import decompress
from nightscribe.archives.container import Container, ContainerRejected, Entry
from nightscribe.archives.growing_copies import GrowingCopy
from nightscribe.archives.spooling import (
    CHUNK_BYTES,
    Readable,
    check_member_size,
    spool,
)
from nightscribe.audio.parts import part
from nightscribe.errors import Reason, Rejected
from nightscribe.file_slice import open_slice
from nightscribe.settings import MIB

__all__ = ["tar_entries"]

# A compressed tar has one stream for all members, so the ratio is measured over the container from
# its start. Half an hour of digital silence at the start must not look like a bomb.
_RATIO_GRACE = 64 * MIB
_HEADER_LIMIT = MIB  # bytes of one tar header; extended headers hold names and attributes
_FOLDER_WITH_NAMES = b"D"  # GNU's incremental backups; its data are the names in the folder
_VOLUME_LABEL = b"V"
_CONTINUATION = b"M"


def tar_entries(container: Container) -> Iterator[Entry]:
    """The members of a tar, in their order; of several tars, if they are joined into one file.

    Raises:
        Rejected: the tar is damaged, has bytes behind its end, or exceeds a limit when expanded.
        Exceptions of `container.DAMAGE`: it is damaged, as `tarfile` or a decompressor reports.
    """
    stream = _Stream(container)
    while True:
        yield from _part_entries(container, stream)
        if not stream.last and stream.tell():
            raise ContainerRejected(
                Reason.CORRUPT_ARCHIVE,
                f"ends at byte {stream.tell()} without an end mark; members may be missing",
            )
        if stream.last.strip(b"\0"):
            raise ContainerRejected(
                Reason.CORRUPT_ARCHIVE, f"damaged before byte {stream.tell()}; the rest is unread"
            )
        # A compressed stream has its check sum at its end, so it is read to the end in any case.
        block = stream.skip_zeros()
        if not block:
            return
        if not _is_header(block):
            start = stream.tell()
            raise ContainerRejected(
                Reason.CORRUPT_ARCHIVE,
                f"{stream.count_rest()} bytes after the end of the tar (from byte {start}) "
                "were not read",
            )


def _part_entries(container: Container, stream: _Stream) -> Iterator[Entry]:
    """The members up to the next end mark, or up to what is no header."""
    with tarfile.TarFile(
        fileobj=cast(BinaryIO, stream),
        mode="r",
        tarinfo=_Header,
        encoding="utf-8",
        errors="surrogateescape",
    ) as archive:
        while (info := archive.next()) is not None:
            # Otherwise tarfile keeps all members in memory while the archive is open.
            archive.members.clear()  # type: ignore[attr-defined]
            is_folder = info.isdir() or info.type == _FOLDER_WITH_NAMES
            is_label = info.type == _VOLUME_LABEL and info.size == 0
            yield Entry(
                name=info.name,
                is_folder=is_folder or is_label,
                # The size of a folder is a limit for its content, or the length of its list.
                size_bytes=0 if is_folder else info.size,
                version=str(int(info.mtime)),
                open=functools.partial(_open, container, stream, info),
                fault=None if is_folder or is_label else _fault_of_type(info),
            )


def _fault_of_type(info: tarfile.TarInfo) -> Rejected | None:
    if info.type in tarfile.SUPPORTED_TYPES:
        return None
    kind = info.type.decode("latin-1")
    if info.type == _CONTINUATION:
        detail = f"type {kind!r}, the rest of a file whose start is in another volume; join them"
    else:
        detail = f"tar entries of type {kind!r} are not read; pack it again as a plain file"
    return Rejected(Reason.UNREADABLE, detail)


def _is_header(block: bytes) -> bool:
    try:
        _Header.frombuf(block, "utf-8", "surrogateescape")
    except tarfile.TarError:
        return False
    return True


class _Header(tarfile.TarInfo):
    """A header whose name is right also in GNU's format and in the oldest one."""

    @classmethod
    def frombuf(cls, buf: bytes | bytearray, encoding: str, errors: str) -> Self:
        info = super().frombuf(buf, encoding, errors)
        name = bytes(buf[:100]).partition(b"\0")[0].decode(encoding, errors)
        if buf[257:263] == b"ustar ":
            # GNU's format. Incremental backups have times where POSIX has the start of the name.
            info.name = name.rstrip("/") if info.isdir() else name
        if info.isdir() and info.type != buf[156:157] and info.size:
            # tarfile takes a file with a folder's name for a folder, and its content for headers.
            info.type, info.name = tarfile.REGTYPE, name
        return info


class _Stream:
    """The file interface that tarfile needs, over a stream that can only be read forwards.

    tarfile reads a header of any stated length at once: `read` refuses long ones. It also takes
    damage after the first member for the end of the tar: `last`, the last bytes that were read,
    shows the difference, since a tar ends with zeros.
    """

    def __init__(self, container: Container) -> None:
        raw = container.raw
        decompressed = decompress(raw, container.size_bytes)
        self.compressed = decompressed is not None
        self._source: Readable = raw if decompressed is None else decompressed
        self._container = container
        self._position = 0
        self._expanded = 0
        self._ahead = b""  # read from the source, but not yet from this stream
        self.last = b""

    def tell(self) -> int:
        return self._position

    def read(self, size: int) -> bytes:
        if size > _HEADER_LIMIT:
            raise ContainerRejected(
                Reason.ARCHIVE_LIMIT,
                f"a header of {size} bytes at byte {self._position}",
            )
        self.last, self._ahead = self._ahead[:size], self._ahead[size:]
        if len(self.last) < size:
            self.last += self._next_bytes(size - len(self.last))
        self._position += len(self.last)
        return self.last

    def _next_bytes(self, size: int) -> bytes:
        data = self._source.read(size)
        if self.compressed:
            self._expanded += len(data)
            self._container.expand(len(data))
            self._check_ratio()
        return data

    def seek(self, position: int) -> None:
        if not self.compressed:
            self._container.raw.seek(position)
            self._position = position
            self._ahead = b""
            return
        if position < self._position:
            raise io.UnsupportedOperation("a compressed tar is read forwards only")
        while self._position < position:
            if not self.read(min(position - self._position, CHUNK_BYTES)):
                raise ContainerRejected(
                    Reason.CORRUPT_ARCHIVE, f"ends at byte {self._position}, inside a member"
                )

    def skip_zeros(self) -> bytes:
        """Go to the next block that is not zeros; return it, or nothing at the end."""
        while chunk := self.read(CHUNK_BYTES):
            if tail := chunk.lstrip(b"\0"):
                zeros = (len(chunk) - len(tail)) // tarfile.BLOCKSIZE * tarfile.BLOCKSIZE
                self._ahead = chunk[zeros:] + self._ahead
                self._position -= len(chunk) - zeros
                return self._ahead[: tarfile.BLOCKSIZE]
        return b""

    def count_rest(self) -> int:
        """The number of bytes that are left. Reads them all."""
        start = self._position
        while self.read(CHUNK_BYTES):
            continue
        return self._position - start

    def _check_ratio(self) -> None:
        ratio = self._container.limits.max_ratio
        if self._expanded > max(_RATIO_GRACE, ratio * self._container.raw.tell()):
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
    if container.in_parts and not stream.compressed:
        return part(container.raw, info.offset_data, info.offset_data + info.size)
    stream.seek(info.offset_data)
    content = _Content(stream, info.size)
    # The stream itself adds to the expanded size.
    if container.in_parts:
        return cast(BinaryIO, GrowingCopy(content, info.size, container.limits))
    return spool(content, info.size, container.limits)
