"""Whether a URI names one file that may be a recording, told before the file is read."""

from __future__ import annotations

import os
import stat
import tarfile
from typing import BinaryIO

from nightscribe.archives.compression import decompress
from nightscribe.archives.container import DAMAGE, ContainerRejected
from nightscribe.archives.kinds import Kind, compressed_name, kind_of
from nightscribe.archives.listing import stat_collection
from nightscribe.errors import ConfigurationError, NightscribeError
from nightscribe.storage import Place, locate

__all__ = ["check_single_file"]

_TAR_HEADER_BYTES = 512
_ISO_START, _ISO = 32_769, b"CD001"
_FIRST_BYTES = _ISO_START + len(_ISO)

_MAGIC = (
    *((b"PK\3\4", "a zip"), (b"PK\5\6", "a zip"), (b"PK\7\x08", "a zip")),
    *((b"7z\xbc\xaf\x27\x1c", "a 7z archive"), (b"Rar!\x1a\7", "a RAR archive")),
    *((b"MSCF\0\0\0\0", "a cabinet"), (b"!<arch>\n", "a Debian package or ar archive")),
    *((b"\xed\xab\xee\xdb", "an RPM package"), (b"070701", "a cpio archive")),
    *((b"070702", "a cpio archive"), (b"070707", "a cpio archive"), (b"xar!", "a xar archive")),
)
"""How files begin that pack several others, and what they are."""

_REMEDY = "an upload is one recording, so give the audio or video file itself; the DAG \
transcribe_archives reads folders, zips and tars"


def check_single_file(uri: str) -> None:
    """Look at the name, the kind and the first bytes of a file.

    Raises:
        ConfigurationError: it is not there, it is a folder, an archive or a manifest, whatever its
            name says, or neither a file nor an object.
        NightscribeError: it cannot be read at the moment.
    """
    place = locate(uri)
    if stat_collection(place).is_folder:
        raise ConfigurationError(f"{place.uri} is a folder: {_REMEDY}")
    # A pipe would block the first read.
    if place.filesystem is None and not stat.S_ISREG(os.stat(place.path).st_mode):
        raise ConfigurationError(f"{place.uri} is a device, pipe or socket: {_REMEDY}")
    kind, packed = kind_of(place.uri), compressed_name(place.uri) is not None
    if kind is Kind.UNSUPPORTED or (kind is Kind.CONTAINER and not packed):
        raise ConfigurationError(f"{place.uri} is an archive by its name: {_REMEDY}")
    if kind is Kind.MANIFEST:
        raise ConfigurationError(f"{place.uri} is a manifest: {_REMEDY}")
    if (found := _content(place, packed)) is not None:
        raise ConfigurationError(f"{place.uri} is {found} by its content: {_REMEDY}")


def _content(place: Place, packed: bool) -> str | None:
    """What a file is by its first bytes; None if it may be a recording.

    `packed`: its name says that it is one recording, compressed.
    """
    try:
        with place.open() as file:
            first = file.read(_FIRST_BYTES)
            file.seek(0)
            expanded = _expanded(file, len(first))
    except OSError as error:
        message = f"{place.uri} cannot be read: {error.strerror or error}"
        if isinstance(error, PermissionError):
            raise ConfigurationError(message) from error
        raise NightscribeError(message) from error
    if (found := _archive(first)) is not None:
        return found
    if expanded is None:
        return None
    if (inner := _archive(expanded)) is not None:
        return f"{inner}, compressed,"
    return None if packed else "a compressed file"


def _expanded(file: BinaryIO, size_bytes: int) -> bytes | None:
    """The first expanded bytes of a compressed file; None for others, and for damaged ones."""
    try:
        source = decompress(file, size_bytes)
        return None if source is None else source.read(_TAR_HEADER_BYTES) or None
    except (ContainerRejected, *DAMAGE):
        return None
    except OSError as error:
        if error.errno is not None:
            raise
        return None


def _archive(first: bytes) -> str | None:
    for magic, name in _MAGIC:
        if first.startswith(magic):
            return name
    if first[_ISO_START:] == _ISO:
        return "a disk image"
    if first[2:5] == b"-lh" and first[6:7] == b"-":
        return "an LHA archive"
    try:
        tarfile.TarInfo.frombuf(first[:_TAR_HEADER_BYTES], "utf-8", "surrogateescape")
    except tarfile.HeaderError:
        return None
    return "a tar"
