"""Where a file ends by its own header, and where it really ends.

FFmpeg decodes what a header states and says nothing about the rest: a WAV that is shorter than it
states, two files joined, a header that was written before the recording had ended.
"""

from __future__ import annotations

import io
from dataclasses import dataclass
from typing import BinaryIO

__all__ = ["Lengths", "lengths_of"]

_STREAMED = 0x7FFF0000  # bytes; a 32-bit size from here on means that the writer did not know it
_MISSING_TOLERANCE = 64  # bytes; some programs count the header twice, or unwritten padding
_TRAILING_TOLERANCE = 1024  # bytes; editors leave small chunks and padding behind the end
_METADATA = (b"TAG", b"ID3", b"APETAGEX", b"LIST", b"id3 ", b"bext", b"iXML", b"_PMX", b"JUNK")
_W64_RIFF = bytes.fromhex("726966662e91cf11a5d628db04c10000")
_MAX_CHUNKS = 10_000  # chunks or boxes that are walked; fragmented MP4 files have many


@dataclass(frozen=True)
class Lengths:
    """The difference between a file's size and its header, in bytes."""

    missing: int = 0  # by how much the file is shorter
    trailing: int = 0  # bytes behind the end, without known metadata


def lengths_of(file: BinaryIO) -> Lengths:
    """Compare the size of a file with its header; formats without a stated size have no difference.

    Knows RIFF (WAV), RF64, W64, AIFF, AU and MP4. Reads headers only, and moves the position.
    """
    size = file.seek(0, io.SEEK_END)
    end = _stated_end(file, size)
    if end is None:
        return Lengths()
    if size < end:
        return Lengths(missing=end - size if end - size > _MISSING_TOLERANCE else 0)
    behind = size - end
    if behind <= _TRAILING_TOLERANCE or _is_metadata(file, end, size):
        behind = 0
    return Lengths(trailing=behind + _second_data(file, end))


def _stated_end(file: BinaryIO, size: int) -> int | None:
    file.seek(0)
    head = file.read(32)
    kind, form = head[:4], head[8:12]
    if kind == b"RIFF" and form == b"WAVE":
        stated = int.from_bytes(head[4:8], "little")
        return None if stated == 0 or stated >= _STREAMED else 8 + stated
    if kind == b"RF64" and head[12:16] == b"ds64":
        return 8 + int.from_bytes(head[20:28], "little")
    if head[:16] == _W64_RIFF:
        return int.from_bytes(head[16:24], "little") or None
    if kind == b"FORM" and form in (b"AIFF", b"AIFC"):
        return 8 + int.from_bytes(head[4:8], "big")
    if kind == b".snd":
        start, stated = (int.from_bytes(head[at : at + 4], "big") for at in (4, 8))
        return None if stated in (0, 0xFFFFFFFF) else start + stated
    if head[4:8] == b"ftyp":
        return _second_movie(file, size)
    return None


def _second_movie(file: BinaryIO, size: int) -> int | None:
    """Where a second MP4 file begins behind the first; None if there is none."""
    position, movies = 0, 0
    for _ in range(_MAX_CHUNKS):
        file.seek(position)
        head = file.read(16)
        if len(head) < 8:
            return None
        length = int.from_bytes(head[:4], "big")
        if length == 1:
            length = int.from_bytes(head[8:16], "big")
        if length < 8:
            return None  # 0: to the end of the file
        if head[4:8] == b"ftyp":
            movies += 1
            if movies == 2:
                return position
        position += length
    return None


def _second_data(file: BinaryIO, end: int) -> int:
    """Bytes of further `data` chunks of a WAV; FFmpeg decodes the first only."""
    file.seek(0)
    if file.read(4) != b"RIFF":
        return 0
    position = 12
    sizes: list[int] = []
    while position + 8 <= end and len(sizes) < _MAX_CHUNKS:
        file.seek(position)
        head = file.read(8)
        length = int.from_bytes(head[4:8], "little")
        if head[:4] == b"data":
            sizes.append(length)
        position += 8 + length + length % 2
    return sum(sizes[1:])


def _is_metadata(file: BinaryIO, end: int, size: int) -> bool:
    """Whether what lies behind the end is tags, or zeros only at its beginning and its end."""
    file.seek(end)
    first = file.read(4096)
    file.seek(max(end, size - 4096))
    if first.lstrip(b"\0").startswith(_METADATA):
        return True
    return not first.strip(b"\0") and not file.read(4096).strip(b"\0")
