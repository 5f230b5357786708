"""The parts of a file that FFmpeg must decode apart: what follows tags, and the links of an Ogg.

Icecast, Liquidsoap and radio loggers write an Ogg file as a chain: each programme is a link with
own headers. FFmpeg decodes later links with the set-up of the first, which gives noise. A link
begins at a beginning-of-stream page that follows another page; several such pages in a row are the
streams of one link. Only page headers are read, one link ahead.
"""

from __future__ import annotations

import io
from collections.abc import Iterator
from typing import BinaryIO, cast

from nightscribe.file_slice import RandomAccessFile

__all__ = ["behind_tags", "content_start", "part", "parts"]

_PAGE_BYTES = 27  # of a page header, without its segment table (RFC 3533, section 6)
_BEGINS_STREAM = 2
_SEARCH_BYTES = 64 * 1024
# Of formats that FFmpeg takes for MP3 behind a tag of about 1 MB.
_MAGIC = (b"fLaC", b"OggS", b"RIFF", b"RF64", b"FORM", b"wvpk", b"MAC ", b"TTA1", b"MPCK", b"MP+")
_MAX_PADDING = 1 << 20  # zeros in front of the content


def _begins_audio(head: bytes) -> bool:
    """Whether a file that FFmpeg would take for MP3 begins with these four bytes."""
    # AAC in ADTS frames: 12 bits of sync, and a layer that is 0, unlike in MP3 (ISO 13818-7, 6.2).
    is_adts = head[:1] == b"\xff" and head[1:2] != b"" and head[1] & 0xF6 == 0xF0
    return is_adts or head.startswith((*_MAGIC, b"\x0b\x77"))


class _Part(RandomAccessFile):
    """Bytes `start` to `end` of an open file, which the parts share one after the other."""

    def __init__(self, file: BinaryIO, start: int, end: int) -> None:
        super().__init__(end - start)
        self._file = file
        self._start = start

    def read_at(self, position: int, count: int) -> bytes:
        self._file.seek(self._start + position)
        return self._file.read(min(count, max(self.size - position, 0)))


def part(file: BinaryIO, start: int, end: int) -> BinaryIO:
    """Bytes `start` to `end` of an open file, as a file."""
    return cast(BinaryIO, _Part(file, start, end))


def parts(file: BinaryIO) -> Iterator[BinaryIO]:
    """The links of a chained Ogg file; for any other file, only the file itself.

    Raises `OSError` if the file cannot be read.
    """
    size = file.seek(0, io.SEEK_END)
    start = content_start(file)
    file.seek(start)
    head = file.read(4)
    if head != b"OggS":
        yield part(file, start, size) if start and _begins_audio(head) else file
        return
    for first, end in _links(file, start, size):
        yield file if (first, end) == (0, size) else part(file, first, end)


def behind_tags(file: BinaryIO) -> BinaryIO:
    """A file without the tags in front of what FFmpeg would take for something else behind them.

    It has its own position: several of one file can be read in turns.
    """
    start, size = content_start(file), file.seek(0, io.SEEK_END)
    file.seek(start)
    return part(file, start if _begins_audio(file.read(4)) else 0, size)


def content_start(file: BinaryIO) -> int:
    """The position behind ID3v2 and APEv2 tags and zeros at the beginning of a file."""
    at = 0
    while True:
        file.seek(at)
        head = file.read(32)
        if head[:3] == b"ID3" and len(head) >= 10 and max(head[6:10]) < 0x80:
            size = sum(
                byte << shift for byte, shift in zip(head[6:10], (21, 14, 7, 0), strict=True)
            )
            at += 10 + size + (10 if head[5] & 0x10 else 0)  # a footer repeats the header
        elif head[:8] == b"APETAGEX" and len(head) == 32 and head[23] & 0x20:
            at += 32 + int.from_bytes(head[12:16], "little")
        elif head[:4] == bytes(4):
            file.seek(at)
            block = file.read(_MAX_PADDING)
            zeros = len(block) - len(block.lstrip(b"\0"))
            if zeros == len(block):
                return at
            at += zeros
        else:
            return at


def _links(file: BinaryIO, start: int, size: int) -> Iterator[tuple[int, int]]:
    """The first byte and the end of each link."""
    first = start
    in_headers = True  # only beginning-of-stream pages so far
    for at, begins in _pages(file, start, size):
        if begins and not in_headers:
            yield first, at
            first = at
        in_headers = begins
    yield first, size


def _pages(file: BinaryIO, at: int, size: int) -> Iterator[tuple[int, bool]]:
    """The position of each page, and whether it begins a stream. Searches on behind damage."""
    while at < size:
        file.seek(at)
        head = file.read(_PAGE_BYTES + 255)
        if len(head) < _PAGE_BYTES:
            return
        if head[:5] != b"OggS\0":
            file.seek(at + 1)
            found = file.read(_SEARCH_BYTES).find(b"OggS\0")
            at = at + 1 + found if found >= 0 else at + _SEARCH_BYTES - 4
            continue
        end = _PAGE_BYTES + head[26]
        body = sum(head[_PAGE_BYTES:end])
        file.seek(at + end + body)
        if file.read(4) not in (b"OggS", b"") and b"OggS\0" in _body(file, at + end, body):
            body = 0  # the page is cut short and the next one begins inside of it
        yield at, bool(head[5] & _BEGINS_STREAM)
        at += end + body


def _body(file: BinaryIO, at: int, size: int) -> bytes:
    file.seek(at)
    return file.read(size)
