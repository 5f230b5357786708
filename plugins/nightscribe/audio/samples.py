"""Convert decoded frames of any rate, layout and sample format to 16-bit samples, 16 kHz mono."""

from __future__ import annotations

from collections.abc import Iterator

import av
import numpy as np
from av.audio.frame import AudioFrame
from av.audio.resampler import AudioResampler
from numpy.typing import NDArray

from nightscribe.audio.containers import error_text
from nightscribe.errors import Reason, Rejected

__all__ = ["FULL_SCALE", "SAMPLE_RATE", "as_float", "check_rate", "in_blocks", "quantised"]

SAMPLE_RATE = 16_000  # Hz; Whisper's mel filters require it
FULL_SCALE = 32_768.0  # 2**15: 16-bit samples become floats in [-1, 1)

# Rates outside this range come from damaged or hostile headers. At 1 Hz a kilobyte would become
# an hour of samples; at 2 GHz FFmpeg's resampling filter would take gigabytes.
_RATES = range(1_000, 6_000_000)  # Hz; DSD is decoded at up to 5.6 MHz


def check_rate(frame: AudioFrame) -> None:
    """Raise `Rejected` for a sample rate that cannot be resampled within bounds."""
    if frame.sample_rate not in _RATES:
        raise Rejected(
            Reason.NOT_AUDIO,
            f"sample rate {frame.sample_rate} Hz: must be from {_RATES.start} to "
            f"{_RATES.stop - 1} Hz",
        )


def quantised(frames: Iterator[AudioFrame]) -> Iterator[NDArray[np.int16]]:
    """Down-mix, resample and round to 16 bits in one step of FFmpeg's resampler, as ffmpeg does.

    Yields arrays of shape (n,), 16 kHz mono. If the format, layout or rate changes within a
    recording, a new resampler is used from there on.
    """
    resampler: AudioResampler | None = None
    source: tuple[str, str, int] | None = None
    for frame in frames:
        frame_source = (frame.format.name, frame.layout.name, frame.sample_rate)
        if frame_source != source:
            yield from _resampled(resampler, None)
            resampler = AudioResampler(format="s16", layout="mono", rate=SAMPLE_RATE)
            source = frame_source
        yield from _resampled(resampler, frame)
    yield from _resampled(resampler, None)


def _resampled(
    resampler: AudioResampler | None, frame: AudioFrame | None
) -> Iterator[NDArray[np.int16]]:
    if resampler is None:
        return
    try:
        resampled = resampler.resample(frame)
    except av.FFmpegError as error:
        form = f"{frame.layout.name} at {frame.sample_rate} Hz" if frame else "the end"
        raise Rejected(
            Reason.NOT_AUDIO, f"{form} cannot be resampled: {error_text(error)}"
        ) from None
    for piece in resampled:
        if piece is not None:  # flushing yields None if there is nothing to convert
            yield piece.to_ndarray()[0]


def in_blocks(pieces: Iterator[NDArray[np.int16]], size: int) -> Iterator[NDArray[np.int16]]:
    """Join and cut the pieces into arrays of shape (size,); the last may be shorter."""
    block = np.empty(size, dtype=np.int16)
    filled = 0
    for piece in pieces:
        while len(piece):
            part = piece[: size - filled]
            block[filled : filled + len(part)] = part
            filled += len(part)
            piece = piece[len(part) :]
            if filled == size:
                yield block
                block = np.empty(size, dtype=np.int16)
                filled = 0
    if filled:
        yield block[:filled].copy()


def as_float(samples: NDArray[np.int16]) -> NDArray[np.float32]:
    """16-bit samples as floats in [-1, 1), as openai-whisper scales them."""
    return samples.astype(np.float32) / np.float32(FULL_SCALE)
