"""A recording as a WAV file that is decoded where it is played: 16 kHz mono, as Whisper hears it.

The file's size follows from the length of the recording, so that a range of its bytes is a range of
time. What was decoded is kept in a temporary file without a name until the space is needed.
"""

from __future__ import annotations

import os
import struct
import threading
from collections.abc import Callable
from contextlib import suppress
from tempfile import TemporaryFile

from nightscribe.audio.piece_decoders import PIECE_BYTES, Encoded, PieceDecoders
from nightscribe.audio.samples import SAMPLE_RATE
from nightscribe.errors import NightscribeError, Rejected

__all__ = ["DecodedAudio"]


class DecodedAudio:
    """The bytes of the WAV file, in any order, for several threads at once.

    `has_grown` is called when it takes more of the temporary folder than before.
    """

    def __init__(
        self, encoded: Encoded, decoders: PieceDecoders, has_grown: Callable[[], None]
    ) -> None:
        self._encoded = encoded
        self._decoders = decoders
        self._has_grown = has_grown
        self._data_bytes = 2 * round(encoded.duration_s * SAMPLE_RATE)
        self._header = _wav_header(self._data_bytes)
        self._kept = TemporaryFile()  # noqa: SIM115  piece n lies at n * PIECE_BYTES
        self._present: set[int] = set()
        self._lock = threading.Lock()  # of the two
        self._turn = threading.Lock()  # one thread at a time asks for a piece
        self._keeps = True

    @property
    def size(self) -> int:
        """Bytes of the file."""
        return len(self._header) + self._data_bytes

    @property
    def disk_bytes(self) -> int:
        """Of the temporary folder that it takes now."""
        return len(self._present) * PIECE_BYTES

    def read(self, start: int, count: int) -> bytes:
        """Up to `count` bytes from `start`: to the end of the piece; none is the end.

        Raises `NightscribeError` if they cannot be decoded.
        """
        head = self._header[start : start + count]
        if head and len(head) == count:
            return head
        return head + self._samples(start + len(head), count - len(head))

    def _samples(self, start: int, count: int) -> bytes:
        start -= len(self._header)
        number, first = divmod(start, PIECE_BYTES)
        count = min(count, PIECE_BYTES - first, self._data_bytes - start)
        return self._piece(number)[first : first + count] if count > 0 else b""

    def forget(self, *, for_good: bool) -> None:
        """Give the space of what was decoded back; for good if nobody opens this any more.

        Who still listens gets it decoded again.
        """
        with self._lock:
            self._keeps = not for_good
            self._present.clear()
            self._kept.truncate(0)

    def _piece(self, number: int) -> bytes:
        while True:
            with self._turn:
                with self._lock:
                    if number in self._present:
                        return os.pread(self._kept.fileno(), PIECE_BYTES, number * PIECE_BYTES)
                got, samples = self._decoded(number)
                if got == number:
                    return samples

    def _decoded(self, wanted: int) -> tuple[int, bytes]:
        """The next piece on the way to the one that is wanted."""
        try:
            number, samples = self._decoders.towards(self._encoded, wanted)
        except Rejected as rejected:
            raise NightscribeError(
                f"This recording cannot be decoded any more: {rejected.detail}"
            ) from rejected
        # The last piece is short, or some samples shorter than the length that was measured.
        samples = samples.ljust(PIECE_BYTES, b"\0")
        with self._lock, suppress(OSError):  # if the disk is full, nothing is kept
            place = number * PIECE_BYTES
            if self._keeps and os.pwrite(self._kept.fileno(), samples, place) == PIECE_BYTES:
                self._present.add(number)
        self._has_grown()
        return number, samples


def _wav_header(data_bytes: int) -> bytes:
    """Of 16-bit mono samples. A size that 32 bits cannot hold is stated as unknown."""
    stated = min(data_bytes, 0xFFFFFFFF - 36)
    form = struct.pack("<HHIIHH", 1, 1, SAMPLE_RATE, 2 * SAMPLE_RATE, 2, 16)
    return (
        b"RIFF"
        + struct.pack("<I", stated + 36)
        + b"WAVEfmt "
        + struct.pack("<I", len(form))
        + form
        + b"data"
        + struct.pack("<I", stated)
    )
