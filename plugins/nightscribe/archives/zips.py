"""Zip archives: names as their writers meant them, members without a bomb among them."""

from __future__ import annotations

import functools
import os
import stat
import struct
import zipfile
from collections.abc import Iterator
from contextlib import suppress
from typing import BinaryIO

from nightscribe.archives.container import DAMAGE, Container, Entry, damaged
from nightscribe.archives.spooling import CHUNK_BYTES, check_member_size, spool
from nightscribe.archives.zip_directory import first_members, read_directory
from nightscribe.errors import Reason, Rejected
from nightscribe.file_slice import open_slice

__all__ = ["zip_entries"]

_METHODS = {9: "Deflate64", 12: "bzip2", 14: "LZMA", 93: "Zstandard", 95: "xz", 98: "PPMd"}
_UTF8_FLAG = 0x800  # of the general purpose flags: the name is UTF-8
_ENCRYPTED_FLAG = 0x1
_LOCAL_HEADER = struct.Struct("<26xHH")  # lengths of name and extra field at their end


def zip_entries(container: Container) -> Iterator[Entry]:
    """The members of a zip in the order of their bytes; at most `max_members` are loaded.

    Raises:
        ContainerRejected: there are more members than allowed; after those that are.
        What `zipfile` raises over damage, see `container.DAMAGE`.
    """
    directory = read_directory(container.raw, container.limits.max_members)
    too_long = directory is not None and not directory.complete
    raw = first_members(container.raw, directory) if too_long and directory else container.raw
    with zipfile.ZipFile(raw) as archive:
        for info in sorted(archive.infolist(), key=lambda info: info.header_offset):
            yield Entry(
                name=_name(info),
                is_folder=info.is_dir(),
                size_bytes=info.file_size,
                version=f"{info.CRC:08x}",
                open=functools.partial(_open, container, archive, info),
            )
    if too_long:
        raise container.too_many_members()


def _name(info: zipfile.ZipInfo) -> str:
    # `filename` ends at the first NUL; `orig_filename` is what the archive says.
    name = info.orig_filename
    if not info.flag_bits & _UTF8_FLAG and not name.isascii():
        # Not marked as UTF-8, so decoded as CP437. macOS and many others write UTF-8 all the
        # same, and other text is hardly ever valid UTF-8 by chance.
        with suppress(UnicodeError):
            name = name.encode("cp437").decode("utf-8")
    # Writers on DOS and Windows (system 0) may separate folders by backslashes.
    return name.replace("\\", "/") if info.create_system == 0 else name


def _open(container: Container, archive: zipfile.ZipFile, info: zipfile.ZipInfo) -> BinaryIO:
    """A member's content. Raises `Rejected`, for damage too: other members are still usable."""
    _check(info)
    check_member_size(info.file_size, container.limits)
    try:
        return _content(container, archive, info)
    except Rejected:
        raise
    except DAMAGE as error:
        raise damaged(error) from error


def _check(info: zipfile.ZipInfo) -> None:
    if stat.S_IFMT(info.external_attr >> 16) == stat.S_IFLNK:
        raise Rejected(Reason.LINK_MEMBER, "a symbolic link")
    if info.flag_bits & _ENCRYPTED_FLAG:
        raise Rejected(Reason.ENCRYPTED_MEMBER, "needs a password; pack it without one")
    if info.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        # `zipfile` expands the other methods without a bound on memory.
        method = _METHODS.get(info.compress_type, "unknown")
        raise Rejected(
            Reason.UNREADABLE,
            f"compression method {info.compress_type} ({method}); pack it stored or deflated",
        )
    if info.file_size == 0:
        raise Rejected(Reason.EMPTY_FILE, "the member has no bytes")


def _content(container: Container, archive: zipfile.ZipFile, info: zipfile.ZipInfo) -> BinaryIO:
    # A compressed size that is too large gains nothing: zipfile reads that many bytes or fails.
    ceiling = int(info.compress_size * container.limits.max_ratio)
    with archive.open(info) as stream:
        if info.compress_type != zipfile.ZIP_STORED or container.descriptor is None:
            return spool(
                stream,
                info.file_size,
                container.limits,
                account=container.expand,
                ceiling=ceiling,
            )
        # Read through once for the check sum, so that what is handed out is known to be whole.
        while chunk := stream.read(CHUNK_BYTES):
            container.expand(len(chunk))
    header = os.pread(container.descriptor, _LOCAL_HEADER.size, info.header_offset)
    name_length, extra_length = _LOCAL_HEADER.unpack(header)
    start = info.header_offset + len(header) + name_length + extra_length
    return open_slice(container.descriptor, start, info.file_size)
