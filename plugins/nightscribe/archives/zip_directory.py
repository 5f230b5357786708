"""The central directory of a zip: count its members before loading it, and cut it at the limit.

`zipfile` loads the whole directory at once, about 500 bytes of memory per member. A directory with
millions of members would fill the memory before any limit is checked.
"""

from __future__ import annotations

import io
import os
import struct
import zipfile
from dataclasses import dataclass
from typing import BinaryIO, cast

from nightscribe.file_slice import RandomAccessFile

__all__ = ["END_BYTES", "Directory", "first_members", "read_directory"]

# The records of the .ZIP specification (APPNOTE.TXT 6.3.10): central directory header (4.3.12),
# ZIP64 end record (4.3.14), ZIP64 locator (4.3.15), end record (4.3.16).
_HEADER = struct.Struct("<4s24xHHH12x")  # signature; lengths of name, extra field and comment
_HEADER_SIGNATURE = b"PK\1\2"
_END64 = struct.Struct("<4sQHHIIQQQQ")
_LOCATOR64 = struct.Struct("<4sIQI")
_END = struct.Struct("<4sHHHHIIH")
END_BYTES = _END.size
"""Bytes of the end record of a zip without a comment."""


@dataclass(frozen=True)
class Directory:
    """The central directory, and the part of it that is within the limit on members.

    Attributes:
        start: offset of the directory in the file
        stated_offset: offset that the zip states; smaller if the file has bytes before the zip
        admitted_bytes: length of the headers within the limit
        members: number of members within the limit
        complete: whether these are all members
    """

    start: int
    stated_offset: int
    admitted_bytes: int
    members: int
    complete: bool


def read_directory(file: BinaryIO, max_members: int) -> Directory | None:
    """Read the headers of at most `max_members` members, whatever number the zip states.

    Returns None if the directory cannot be read; `zipfile` then reports the error.
    """
    # zipfile's own reader of the end record supports ZIP64 and archive comments.
    end = zipfile._EndRecData(file)  # type: ignore[attr-defined]
    if not end:
        return None
    size, offset, location = (
        end[index]
        for index in (zipfile._ECD_SIZE, zipfile._ECD_OFFSET, zipfile._ECD_LOCATION)  # type: ignore[attr-defined]
    )
    if end[zipfile._ECD_SIGNATURE] == zipfile.stringEndArchive64:  # type: ignore[attr-defined]
        location -= _END64.size + _LOCATOR64.size
    start = location - size
    if start < 0:
        return None
    file.seek(start)
    walked = members = 0
    while walked < size:
        header = file.read(_HEADER.size)
        if len(header) < _HEADER.size or not header.startswith(_HEADER_SIGNATURE):
            return None
        if members == max_members:
            return Directory(start, offset, walked, members, complete=False)
        variable = sum(_HEADER.unpack(header)[1:])
        file.seek(variable, os.SEEK_CUR)
        walked += _HEADER.size + variable
        members += 1
    return Directory(start, offset, walked, members, complete=True)


def first_members(file: BinaryIO, directory: Directory) -> BinaryIO:
    """The zip with a directory that ends after the members within the limit."""
    cut = directory.start + directory.admitted_bytes
    end64 = _END64.pack(
        zipfile.stringEndArchive64,  # type: ignore[attr-defined]
        _END64.size - 12,  # by the specification, without the signature and this field
        45,  # version made by and version needed: 4.5, the first with ZIP64
        45,
        0,
        0,
        directory.members,
        directory.members,
        directory.admitted_bytes,
        directory.stated_offset,
    )
    locator = _LOCATOR64.pack(
        zipfile.stringEndArchive64Locator,  # type: ignore[attr-defined]
        0,
        directory.stated_offset + directory.admitted_bytes,
        1,
    )
    in_zip64 = 0xFFFF, 0xFFFF, 0xFFFFFFFF, 0xFFFFFFFF
    end = _END.pack(zipfile.stringEndArchive, 0, 0, *in_zip64, 0)  # type: ignore[attr-defined]
    return cast(BinaryIO, io.BufferedReader(_WithTail(file, cut, end64 + locator + end)))


class _WithTail(RandomAccessFile):
    """The bytes of a file before `cut`, followed by other bytes."""

    def __init__(self, file: BinaryIO, cut: int, tail: bytes) -> None:
        super().__init__(cut + len(tail))
        self._file = file
        self._cut = cut
        self._tail = tail

    def read_at(self, position: int, count: int) -> bytes:
        if position >= self._cut:
            return self._tail[position - self._cut :][:count]
        self._file.seek(position)
        return self._file.read(min(count, self._cut - position))
