"""Compressed streams, which may consist of several joined streams, read forwards to their end."""

from __future__ import annotations

import bz2
import gzip
import lzma
from collections.abc import Callable
from typing import BinaryIO, Protocol

import zstandard

from nightscribe.archives.container import ContainerRejected
from nightscribe.archives.spooling import CHUNK_BYTES, Readable
from nightscribe.errors import Reason

__all__ = ["decompress"]

_BZIP2, _XZ, _ZSTD = b"BZh", b"\xfd7zXZ\0", b"\x28\xb5\x2f\xfd"
# Expanded bytes per byte of Zstandard are not bounded by its decompressor. A block has at least 4
# bytes and expands to at most 128 KiB (RFC 8878, 3.1.1.2), so that this many give up to 32 MiB.
_ZSTD_INPUT_BYTES = 1024


def decompress(raw: BinaryIO, size_bytes: int) -> Readable | None:
    """The expanded content of an open file of `size_bytes`; None if it is not compressed.

    Reading raises `ContainerRejected`, EOFError, LZMAError, zlib.error, or an OSError without an
    errno for damage and for other bytes behind the compressed ones.
    """
    magic = raw.read(6)
    raw.seek(0)
    if magic.startswith(b"\x1f\x8b"):
        return gzip.GzipFile(fileobj=raw)
    if magic.startswith(_BZIP2):
        return _Joined(raw, size_bytes, bz2.BZ2Decompressor, _BZIP2)
    if magic.startswith(_XZ):
        return _Joined(raw, size_bytes, lzma.LZMADecompressor, _XZ)
    if magic.startswith(_ZSTD):
        return _Joined(raw, size_bytes, _Zstandard, _ZSTD)
    return None


class _Decompressor(Protocol):
    """The interface of `bz2.BZ2Decompressor`."""

    @property
    def eof(self) -> bool: ...
    @property
    def needs_input(self) -> bool: ...
    @property
    def unused_data(self) -> bytes: ...
    def decompress(self, data: bytes, max_length: int = -1, /) -> bytes: ...


class _Zstandard:
    """One frame of Zstandard, expanded in bounded pieces."""

    def __init__(self) -> None:
        self._stream = zstandard.ZstdDecompressor().decompressobj()
        self._input = self._output = b""

    @property
    def eof(self) -> bool:
        return self._stream.eof and not self._output

    @property
    def needs_input(self) -> bool:
        return not self._input and not self._output and not self._stream.eof

    @property
    def unused_data(self) -> bytes:
        return self._stream.unused_data + self._input

    def decompress(self, data: bytes, max_length: int = -1, /) -> bytes:
        self._input += data
        while self._input and not self._output and not self._stream.eof:
            now, self._input = self._input[:_ZSTD_INPUT_BYTES], self._input[_ZSTD_INPUT_BYTES:]
            try:
                self._output = self._stream.decompress(now)
            except zstandard.ZstdError as error:
                raise EOFError(f"damaged Zstandard data: {error}") from None
        piece, self._output = self._output[:max_length], self._output[max_length:]
        return piece


class _Joined:
    """Joined streams of bzip2, xz or Zstandard.

    `BZ2File` and `LZMAFile` silently ignore bytes behind the first stream that are no stream.
    """

    def __init__(
        self,
        raw: BinaryIO,
        size_bytes: int,
        new: Callable[[], _Decompressor],
        magic: bytes,
    ) -> None:
        self._raw = raw
        self._size_bytes = size_bytes
        self._new = new
        self._magic = magic
        self._stream = new()
        self._input = b""  # bytes of the file that no stream has consumed

    def read(self, size: int, /) -> bytes:
        parts = []
        while size:
            if self._stream.eof and not self._begin_next_stream():
                break
            if self._stream.needs_input and not self._input:
                self._input = self._raw.read(CHUNK_BYTES // 16)
                if not self._input:
                    raise EOFError("the compressed data end too early")
            parts.append(self._stream.decompress(self._input, size))
            self._input = self._stream.unused_data if self._stream.eof else b""
            size -= len(parts[-1])
        return b"".join(parts)

    def _begin_next_stream(self) -> bool:
        # Zeros fill the last block of a disk or tape.
        self._input = self._input.lstrip(b"\0")
        while not self._input:
            chunk = self._raw.read(CHUNK_BYTES // 16)
            if not chunk:
                return False
            self._input = chunk.lstrip(b"\0")
        start = self._raw.tell() - len(self._input)
        self._input += self._raw.read(len(self._magic))
        if not self._input.startswith(self._magic):
            raise ContainerRejected(
                Reason.CORRUPT_ARCHIVE,
                f"{self._size_bytes - start} bytes after the end of the compressed data "
                f"(from byte {start}) were not read",
            )
        self._stream = self._new()
        return True
