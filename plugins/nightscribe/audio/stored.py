"""Decoded samples on disk, so that memory does not depend on the length of a recording."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import BinaryIO

import numpy as np
from numpy.typing import NDArray

from nightscribe.audio.containers import AudioFile
from nightscribe.audio.decode import blocks
from nightscribe.audio.samples import FULL_SCALE
from nightscribe.errors import AudioWarning, explain_full_disk

__all__ = ["Samples", "Stored", "decode_to"]

_SAMPLE_BYTES = 2


class Stored:
    """16-bit samples in an unnamed temporary file, which the system deletes when it is closed.

    Each slice is read from the file. A memory mapping needs no reads, but its pages count as memory
    of this process. An hour takes 115 MB of disk space.
    """

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self._count = os.fstat(file.fileno()).st_size // _SAMPLE_BYTES

    def __len__(self) -> int:
        return self._count

    def __getitem__(self, part: slice) -> NDArray[np.int16]:
        first, last, _ = part.indices(self._count)
        count = max(0, last - first) * _SAMPLE_BYTES
        return np.frombuffer(os.pread(self._file.fileno(), count, first * _SAMPLE_BYTES), np.int16)


@dataclass(frozen=True)
class Samples:
    """A decoded recording: 16-bit samples, 16 kHz mono."""

    samples: Stored
    warning: str | None


@explain_full_disk()
def decode_to(out: BinaryIO, encoded: AudioFile) -> tuple[AudioWarning, ...]:
    """Decode into an open file, as raw 16-bit samples; returns the warnings.

    Raises the errors of `decode.blocks`, and `NightscribeError` if the disk is full.
    """
    decoded = blocks(encoded)
    while True:
        try:
            block = next(decoded)
        except StopIteration as end:
            out.flush()
            warnings: tuple[AudioWarning, ...] = end.value
            return warnings
        out.write((block * FULL_SCALE).astype(np.int16).tobytes())
