"""Zips: decoded member names, and contents within the limits."""

from __future__ import annotations

import functools
import stat
import struct
import zipfile
from collections.abc import Iterator
from typing import BinaryIO, cast

from nightscribe.archives.container import (
    DAMAGE,
    Container,
    ContainerRejected,
    Entry,
    damaged,
)
from nightscribe.archives.entries import unreadable
from nightscribe.archives.growing_copies import GrowingCopy
from nightscribe.archives.spooling import CHUNK_BYTES, check_member_size, spool
from nightscribe.archives.zip_directory import END_BYTES, Directory, first_members, read_directory
from nightscribe.archives.zip_names import member_names
from nightscribe.audio.parts import part
from nightscribe.errors import Reason, Rejected
from nightscribe.file_slice import open_slice

__all__ = ["zip_entries"]

_METHODS = {9: "Deflate64", 12: "bzip2", 14: "LZMA", 93: "Zstandard", 95: "xz", 98: "PPMd"}
_ENCRYPTED_FLAG = 0x1
_LOCAL_HEADER = struct.Struct("<26xHH")  # ends with the lengths of name and extra field


def zip_entries(container: Container) -> Iterator[Entry]:
    """The members of a zip, in the order of their bytes; loads at most `max_members`.

    Raises:
        ContainerRejected: there are more members than the limit, or another zip comes before this
            one; raised after the last member.
        Exceptions of `container.DAMAGE`: the zip is damaged, as `zipfile` reports.
    """
    directory = read_directory(container.raw, container.limits.max_members)
    too_long = directory is not None and not directory.complete
    raw = first_members(container.raw, directory) if too_long and directory else container.raw
    with zipfile.ZipFile(raw) as archive:
        infos = sorted(archive.infolist(), key=lambda info: info.header_offset)
        names = member_names(infos, container.limits.name_encoding)
        for info, name in zip(infos, names, strict=True):
            yield Entry(
                name=name,
                is_folder=name.endswith("/"),
                size_bytes=info.file_size,
                version=f"{info.CRC:08x}",
                open=functools.partial(_open, container, archive, info),
            )
    if too_long:
        raise container.too_many_members()
    if directory is not None:
        _check_start(container, directory, infos)


def _check_start(container: Container, directory: Directory, infos: list[zipfile.ZipInfo]) -> None:
    """Reject the container if a zip comes before the one that was read.

    Other bytes before a zip are allowed: a zip that extracts itself starts with a program.
    """
    start = infos[0].header_offset if infos else directory.start
    container.raw.seek(0)
    starts_as_zip = container.raw.read(4) == b"PK\3\4"
    container.raw.seek(max(0, start - END_BYTES))
    ends_as_zip = start >= END_BYTES and container.raw.read(4) == zipfile.stringEndArchive  # type: ignore[attr-defined]
    if (starts_as_zip and directory.start > directory.stated_offset) or ends_as_zip:
        raise ContainerRejected(
            Reason.CORRUPT_ARCHIVE,
            f"the first {start} bytes are another zip, whose members are not read; "
            "split the file, or pack its members into one zip",
        )


def _open(container: Container, archive: zipfile.ZipFile, info: zipfile.ZipInfo) -> BinaryIO:
    """The content of a member. Raises `Rejected`, also for damage: other members may be intact."""
    _check(info)
    check_member_size(info.file_size, container.limits)
    try:
        return _content(container, archive, info)
    except Rejected:
        raise
    except DAMAGE as error:
        raise damaged(error) from error
    except OSError as error:
        if container.place.filesystem is not None:
            raise  # the store cannot be reached
        # A bad sector is under one member; the others have their own places.
        raise unreadable("this member", error) from error


def _check(info: zipfile.ZipInfo) -> None:
    if stat.S_IFMT(info.external_attr >> 16) == stat.S_IFLNK:
        raise Rejected(Reason.LINK_MEMBER, "a symbolic link")
    if info.flag_bits & _ENCRYPTED_FLAG:
        raise Rejected(Reason.ENCRYPTED_MEMBER, "needs a password; pack it without one")
    if info.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        # `zipfile` expands the other methods without a limit on memory.
        method = _METHODS.get(info.compress_type, "unknown")
        raise Rejected(
            Reason.UNREADABLE,
            f"compression method {info.compress_type} ({method}); pack it stored or deflated",
        )
    if info.file_size == 0:
        raise Rejected(Reason.EMPTY_FILE, "the member has no bytes")


def _content(container: Container, archive: zipfile.ZipFile, info: zipfile.ZipInfo) -> BinaryIO:
    # A bomb cannot raise this by stating a larger compressed size: zipfile reads that many bytes
    # or fails.
    ceiling = int(info.compress_size * container.limits.max_ratio)
    is_stored = info.compress_type == zipfile.ZIP_STORED
    if container.in_parts:
        if is_stored:
            return _in_place(container, info)
        copy = GrowingCopy(
            archive.open(info),
            info.file_size,
            container.limits,
            account=container.expand,
            ceiling=ceiling,
        )
        return cast(BinaryIO, copy)
    with archive.open(info) as stream:
        if not is_stored or container.descriptor is None:
            return spool(
                stream,
                info.file_size,
                container.limits,
                account=container.expand,
                ceiling=ceiling,
            )
        # Read it once to verify the check sum; then the member can be read in place.
        while chunk := stream.read(CHUNK_BYTES):
            container.expand(len(chunk))
    return _in_place(container, info)


def _in_place(container: Container, info: zipfile.ZipInfo) -> BinaryIO:
    container.raw.seek(info.header_offset)
    header = container.raw.read(_LOCAL_HEADER.size)
    name_length, extra_length = _LOCAL_HEADER.unpack(header)
    start = info.header_offset + len(header) + name_length + extra_length
    if container.descriptor is None:
        return part(container.raw, start, start + info.file_size)
    return open_slice(container.descriptor, start, info.file_size)
