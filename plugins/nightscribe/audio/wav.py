"""16-bit samples as the content of a WAV file."""

from __future__ import annotations

import io
import wave

import numpy as np
from numpy.typing import NDArray

__all__ = ["wav_content"]


def wav_content(samples: NDArray[np.int16], sample_rate: int) -> bytes:
    """The WAV file of one channel: `samples` of shape (n,), `sample_rate` in Hz."""
    content = io.BytesIO()
    with wave.open(content, "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(sample_rate)
        file.writeframes(samples.astype("<i2").tobytes())
    return content.getvalue()
