"""The samples of a recording piece by piece, for a listener who jumps.

Where a recording can be entered in the middle (`seeking`), a piece is decoded by itself. Where it
cannot, all pieces before it come first.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import BinaryIO

import numpy as np
from numpy.typing import NDArray

from nightscribe.audio.decode import blocks
from nightscribe.audio.parts import behind_tags
from nightscribe.audio.samples import FULL_SCALE, SAMPLE_RATE, in_blocks, quantised
from nightscribe.audio.seeking import Seeking, seeking

__all__ = ["PIECE_S", "PIECE_SAMPLES", "Pieces"]

PIECE_S = 10
PIECE_SAMPLES = PIECE_S * SAMPLE_RATE
_NEAR = 6  # pieces that are decoded on the way rather than left out: it takes less than a seek


class Pieces:
    """The pieces of an open file whose decoded audio lasts `duration_s`."""

    def __init__(self, file: BinaryIO, duration_s: float) -> None:
        self._file = file
        self._duration_s = duration_s
        self._seeking: Seeking | None = None
        self._is_tried = False  # whether it can be entered in the middle
        self._running: Iterator[NDArray[np.int16]] | None = None
        self._next = 0  # number of the piece that comes next

    def towards(self, wanted: int) -> tuple[int, NDArray[np.int16]]:
        """A piece that is wanted, or one on the way to it: its number and its samples.

        The last piece is shorter; there is none behind it, and its samples are an empty array.

        Raises:
            Rejected: the recording cannot be decoded.
            OSError: it cannot be read.
        """
        if wanted * PIECE_S >= self._duration_s:
            return wanted, np.empty(0, np.int16)
        if self._running is None or not self._next <= wanted <= self._next + _NEAR:
            self._begin(wanted)
        assert self._running is not None
        number = self._next
        self._next += 1
        return number, next(self._running, np.empty(0, np.int16))

    def close(self) -> None:
        """End decoding; the file stays open."""
        self._running = None
        if self._seeking is not None:
            self._seeking.close()

    def _begin(self, wanted: int) -> None:
        """Have the wanted piece come next; else one before it, if it is not yet behind."""
        if wanted > _NEAR and not self._is_tried:
            self._seeking = seeking(behind_tags(self._file), self._duration_s)
            self._is_tried = True
        found = self._from(wanted) if self._seeking is not None and wanted else None
        if found is not None:
            self._running, self._next = found, wanted
        elif self._running is None or self._next > wanted:
            self._running, self._next = self._from_start(), 0

    def _from_start(self) -> Iterator[NDArray[np.int16]]:
        for block in blocks(behind_tags(self._file), block_s=PIECE_S):
            yield (block * FULL_SCALE).astype(np.int16)

    def _from(self, piece: int) -> Iterator[NDArray[np.int16]] | None:
        assert self._seeking is not None
        begun = self._seeking.frames_from(float(piece * PIECE_S))
        if begun is None:
            return None
        position_s, frames = begun
        ahead = round((piece * PIECE_S - position_s) * SAMPLE_RATE)
        return in_blocks(_without(ahead, quantised(frames)), PIECE_SAMPLES)


def _without(count: int, arrays: Iterator[NDArray[np.int16]]) -> Iterator[NDArray[np.int16]]:
    """The arrays without their first `count` samples."""
    for array in arrays:
        left_out = min(count, len(array))
        count -= left_out
        yield array[left_out:]
