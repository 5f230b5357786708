"""Where a file ends by its own header, and where it really ends.

FFmpeg decodes what a header states and says nothing about the rest: a WAV that is shorter than it
states, two files joined, a header that was written before the recording had ended.
"""

from __future__ import annotations

import io
import struct
from dataclasses import dataclass
from typing import BinaryIO

from nightscribe.audio.parts import content_start, part

__all__ = ["Lengths", "lengths_of"]

_STREAMED = 0x7FFF0000  # bytes; a 32-bit size from here on means that the writer did not know it
_MISSING_TOLERANCE = 64  # bytes; some programs count the header twice, or unwritten padding
_TRAILING_TOLERANCE = 1024  # bytes; editors leave small chunks and padding behind the end
_METADATA_CHUNKS = (b"LIST", b"id3 ", b"ID3 ", b"bext", b"iXML", b"_PMX", b"JUNK", b"cue ")
_W64_RIFF = bytes.fromhex("726966662e91cf11a5d628db04c10000")
_ASF_HEADER = bytes.fromhex("3026b2758e66cf11a6d900aa0062ce6c")
_ASF_FILE_PROPERTIES = bytes.fromhex("a1dcab8c47a9cf118ee400c00c205365")
_MAX_FRAMES = 1_000_000  # of a TTA file: 12 days
_MAX_TAGS = 1_000_000  # of an FLV file
_MAX_CHUNKS = 10_000  # chunks or boxes that are walked; fragmented MP4 files have many


@dataclass(frozen=True)
class Lengths:
    """The difference between a file's size and its header, in bytes."""

    missing: int = 0  # by how much the file is shorter
    trailing: int = 0  # bytes behind the end, without known metadata


def lengths_of(file: BinaryIO) -> Lengths:
    """Compare the size of a file with its header; formats without a stated size have no difference.

    Knows RIFF (WAV), RF64, W64, AIFF, AU, MP4, CAF, ASF (WMA), TTA, VOC and FLV. Reads headers
    only, and moves the position.
    """
    size = file.seek(0, io.SEEK_END)
    end = _stated_end(file, size)
    if end is None:
        return Lengths()
    if size < end:
        return Lengths(missing=end - size if end - size > _MISSING_TOLERANCE else 0)
    behind = size - _metadata_end(file, end, size)
    if behind <= _TRAILING_TOLERANCE:
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
    if kind == b"caff":
        return _caf_end(file)
    if head[:16] == _ASF_HEADER:
        return _asf_end(file, int.from_bytes(head[16:24], "little"))
    if kind == b"TTA1":
        return _tta_end(file, head)
    if head[:19] == b"Creative Voice File":
        return _voc_end(file, int.from_bytes(head[20:22], "little"))
    if kind == b"FLV\1":
        return _second_flv(file, int.from_bytes(head[5:9], "big"))
    return None


def _voc_end(file: BinaryIO, position: int) -> int | None:
    """The end of the last block. A block has a type and 3 bytes of length; type 0 is the last."""
    for _ in range(_MAX_CHUNKS):
        file.seek(position)
        head = file.read(4)
        if not head:
            return position
        if head[0] == 0:
            return position + 1
        position += 4 + int.from_bytes(head[1:4], "little")
    return None


def _second_flv(file: BinaryIO, position: int) -> int | None:
    """Where a second FLV file begins behind the first; None if there is none."""
    for _ in range(_MAX_TAGS):
        file.seek(position + 4)  # behind the size of the tag before
        head = file.read(11)
        if head[:4] == b"FLV\1":
            return position + 4
        if len(head) < 11:
            return None
        position += 4 + 11 + int.from_bytes(head[1:4], "big")
    return None


def _caf_end(file: BinaryIO) -> int | None:
    """The end of the last chunk, or where a second file begins."""
    position = 8
    for _ in range(_MAX_CHUNKS):
        file.seek(position)
        head = file.read(12)
        if len(head) < 12 or head[:4] == b"caff":
            return position
        length = int.from_bytes(head[4:12], "big", signed=True)
        if length < 0:
            return None  # -1: to the end of the file
        position += 12 + length
    return None


def _asf_end(file: BinaryIO, header_bytes: int) -> int | None:
    """The size in the File Properties Object, unless its writer streamed (ASF 1.2, 3.2)."""
    position = 30
    for _ in range(_MAX_CHUNKS):
        file.seek(position)
        head = file.read(92)
        length = int.from_bytes(head[16:24], "little")
        if position >= header_bytes or len(head) < 92 or length < 24:
            return None
        if head[:16] == _ASF_FILE_PROPERTIES:
            is_streamed = head[88] & 1
            return None if is_streamed else int.from_bytes(head[40:48], "little") or None
        position += length
    return None


def _tta_end(file: BinaryIO, head: bytes) -> int | None:
    """The end of the last frame in the seek table, which follows the 22 bytes of the header."""
    rate, samples = (int.from_bytes(head[at : at + 4], "little") for at in (10, 14))
    if not rate:
        return None
    frames = -(-samples * 245 // (rate * 256))  # a frame has 256/245 s
    file.seek(22)
    table = file.read(4 * min(frames, _MAX_FRAMES))
    if len(table) < 4 * frames:
        return None
    audio_bytes: int = sum(struct.unpack(f"<{frames}I", table))
    return 22 + 4 * frames + 4 + audio_bytes


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


def _metadata_end(file: BinaryIO, end: int, size: int) -> int:
    """Where tags, chunks of metadata and zeros behind the end of the audio end themselves."""
    position = end
    while position < size:
        position += content_start(part(file, position, size))
        file.seek(position)
        head = file.read(8)
        if head.startswith(b"TAG"):
            position += 128  # ID3v1
        elif head[:4] in _METADATA_CHUNKS:
            length = int.from_bytes(head[4:], "little")
            position += 8 + length + length % 2
        elif head.startswith(b"APETAGEX"):
            position += 32  # the footer of a tag without a header
        elif not head.strip(b"\0"):
            return _zeros_end(file, position, size)
        else:
            break
    return min(position, size)


def _zeros_end(file: BinaryIO, position: int, size: int) -> int:
    """The end of the file if its last bytes are zeros as well, else `position`."""
    file.seek(max(position, size - 4096))
    return position if file.read(4096).strip(b"\0") else size
