"""Audio files to test with, and what a test needs to decode them."""

from __future__ import annotations

import io
import shutil
import struct
from typing import BinaryIO

import numpy as np
import pytest

from nightscribe.audio.decode import decode
from nightscribe.errors import Rejected
from tools.compare_audio import CASES

needs_ffmpeg = pytest.mark.skipif(
    shutil.which("ffmpeg") is None, reason="needs the ffmpeg command, as openai-whisper does"
)
every_case = pytest.mark.parametrize("case", CASES, ids=[case.name for case in CASES])


def wav(samples: bytes, *, rate: int = 16_000, channels: int = 1) -> bytes:
    form = struct.pack("<HHIIHH", 1, channels, rate, 2 * rate * channels, 2 * channels, 16)
    chunks = b"WAVEfmt " + struct.pack("<I", 16) + form + b"data"
    chunks += struct.pack("<I", len(samples)) + samples
    return b"RIFF" + struct.pack("<I", len(chunks)) + chunks


def rejection(content: bytes | BinaryIO, **limits: float) -> Rejected:
    file = io.BytesIO(content) if isinstance(content, bytes) else content
    with pytest.raises(Rejected) as caught:
        decode(file, **limits)
    return caught.value


def damaged(content: bytes, start: float = 0.5, size: int = 3000) -> bytes:
    at = int(len(content) * start)
    return content[:at] + np.random.default_rng(2).bytes(size) + content[at + size :]
