"""The names of a zip's members as text, with `/` between folders."""

from __future__ import annotations

import struct
import zipfile
import zlib
from collections.abc import Iterator, Sequence
from contextlib import suppress

__all__ = ["member_names"]

_UTF8_FLAG = 0x800  # general purpose flag: the name is UTF-8
_UNIX_SYSTEMS = (3, 19)  # "version made by": Unix, macOS
# The Unicode Path extra field (APPNOTE.TXT 6.3.10, 4.6.9): version, CRC-32 of the header's name;
# the name in UTF-8 follows.
_UNICODE_PATH = 0x7075
_UNICODE_PATH_HEAD = struct.Struct("<BI")
_EXTRA_HEAD = struct.Struct("<HH")  # kind and length of one extra field


def member_names(members: Sequence[zipfile.ZipInfo], encoding: str) -> list[str]:
    """The name of each member.

    Args:
        encoding: the encoding of names whose encoding the zip does not state and that are not valid
            UTF-8; empty for CP437, the encoding of the zip specification

    A backslash separates folders, except in a zip made on Unix that also holds a slash: there it is
    part of a name.
    """
    names = [_decoded(member, encoding) for member in members]
    has_slashes = any("/" in name for name in names)
    return [
        name if has_slashes and member.create_system in _UNIX_SYSTEMS else name.replace("\\", "/")
        for member, name in zip(members, names, strict=True)
    ]


def _decoded(member: zipfile.ZipInfo, encoding: str) -> str:
    # `filename` is cut at the first NUL; `orig_filename` is the whole name.
    name = member.orig_filename
    if member.flag_bits & _UTF8_FLAG:
        return name
    # zipfile decodes a name without the flag as CP437, which has a character for each byte.
    raw = name.encode("cp437")
    unicode_name = _unicode_path(member.extra, raw)
    if unicode_name is not None:
        return unicode_name
    # macOS and other writers use UTF-8 without setting the flag. Text in another encoding is rarely
    # valid UTF-8.
    for candidate in ("utf-8", encoding):
        with suppress(UnicodeError):
            if candidate:
                return raw.decode(candidate)
    return name


def _unicode_path(extra: bytes, raw: bytes) -> str | None:
    """The name in the Unicode Path field, if there is one that belongs to the name `raw`."""
    for kind, data in _extra_fields(extra):
        if kind != _UNICODE_PATH or len(data) <= _UNICODE_PATH_HEAD.size:
            continue
        version, checksum = _UNICODE_PATH_HEAD.unpack_from(data)
        # Another check sum shows that a program changed the name and kept the field.
        if version == 1 and checksum == zlib.crc32(raw):
            with suppress(UnicodeError):
                return data[_UNICODE_PATH_HEAD.size :].decode("utf-8")
    return None


def _extra_fields(extra: bytes) -> Iterator[tuple[int, bytes]]:
    position = 0
    while position + _EXTRA_HEAD.size <= len(extra):
        kind, length = _EXTRA_HEAD.unpack_from(extra, position)
        position += _EXTRA_HEAD.size
        yield kind, extra[position : position + length]
        position += length
