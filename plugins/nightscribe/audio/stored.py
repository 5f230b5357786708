"""Decoded samples on disk: memory does not grow with a recording."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import BinaryIO

import numpy as np
from numpy.typing import NDArray

from nightscribe.audio.containers import AudioFile
from nightscribe.audio.decode import blocks
from nightscribe.audio.samples import FULL_SCALE
from nightscribe.errors import explain_full_disk

__all__ = ["Samples", "Stored", "decode_to"]

_SAMPLE_BYTES = 2


class Stored:
    """16-bit samples in an open file without a name, which is gone once nobody holds it.

    Slices are read anew each time. A mapping would do without, but count as this process's
    memory, all of a long recording at once. Disk space: 115 MB an hour.
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
def decode_to(out: BinaryIO, encoded: AudioFile) -> str | None:
    """Decode to raw 16-bit samples in an open file; returns the warning, if there is one.

    Raises what `decode.blocks` raises, and `NightscribeError` where the folder is full.
    """
    decoded = blocks(encoded)
    while True:
        try:
            block = next(decoded)
        except StopIteration as end:
            out.flush()
            warning: str | None = end.value
            return warning
        out.write((block * FULL_SCALE).astype(np.int16).tobytes())
