"""A recording's log-mel spectrogram, window by window.

The reference computes the spectrogram of a whole recording at once, with 30 s of zeros after it,
and clamps it at its maximum minus 8 (powers of ten). Here one pass finds the maximum, block by
block, and each window is computed when it is needed. So memory does not grow with the recording.
The spectrogram of a short recording is kept from the first pass.
"""

from __future__ import annotations

from functools import cache

import numpy as np
import torch
import torch.nn.functional as F  # noqa: N812 - its usual name
from numpy.typing import NDArray
from torch import Tensor
from whisper.audio import HOP_LENGTH, N_FFT, N_FRAMES, mel_filters

from nightscribe.audio.samples import FULL_SCALE
from nightscribe.audio.stored import Stored
from nightscribe.whisper.batched.windows import Window

__all__ = ["LogMel"]

_BLOCK_FRAMES = 6_000  # a minute
_KEPT_FRAMES = 2 * _BLOCK_FRAMES
_MARGIN = N_FFT // 2  # samples that a frame needs on each side of its centre
_MARGIN_FRAMES = 3  # frames after the content, some of which still see the end of it
_RANGE = 8.0  # powers of ten below the maximum
_SILENCE = -10.0  # log10 of 1e-10, the least power


class LogMel:
    """The spectrogram of 16-bit samples, 16 kHz mono, that are read slice by slice."""

    def __init__(self, samples: Stored, bins: int, device: str) -> None:
        self._samples = samples
        self._bins = bins
        self._device = torch.device(device)
        self.frames = len(samples) // HOP_LENGTH
        """Frames of content, 100 a second."""
        end = self.frames + _MARGIN_FRAMES
        blocks = []
        maximum = -torch.inf
        for first in range(0, end, _BLOCK_FRAMES):
            block = self._log_power(first, min(end, first + _BLOCK_FRAMES))
            maximum = max(maximum, float(block.max()))
            if end <= _KEPT_FRAMES:
                blocks.append(block)
        self._floor = maximum - _RANGE
        self._kept = torch.cat(blocks, dim=1) if blocks else None

    def window(self, window: Window) -> Tensor:
        """Spectrogram (bins, 3000) of a window, with zeros after its content."""
        content = self._clamped(window.seek, window.seek + window.size)
        return F.pad(content, (0, N_FRAMES - window.size))

    def half_a_minute(self, first: int) -> Tensor:
        """Spectrogram (bins, 3000) from a frame on, with silence after the recording.

        The language is detected in it.
        """
        return self._clamped(first, first + N_FRAMES)

    def _clamped(self, first: int, last: int) -> Tensor:
        if self._kept is not None:
            part = self._kept[:, first:last]
            part = F.pad(part, (0, last - first - part.shape[1]), value=_SILENCE)
        else:
            part = self._log_power(first, last)
        return (part.clamp(min=self._floor) + 4.0) / 4.0

    def _log_power(self, first: int, last: int) -> Tensor:
        """log10 of the mel spectrogram (bins, last - first), at least -10, not yet clamped."""
        samples = self._padded(first * HOP_LENGTH - _MARGIN, (last - 1) * HOP_LENGTH + _MARGIN)
        audio = torch.from_numpy(samples).to(self._device)
        spectrum = torch.stft(
            audio,
            N_FFT,
            HOP_LENGTH,
            window=_hann_window(self._device),
            center=False,
            return_complex=True,
        )
        mel: Tensor = mel_filters(self._device, self._bins) @ (spectrum.abs() ** 2)
        return mel.clamp(min=1e-10).log10()

    def _padded(self, first: int, last: int) -> NDArray[np.float32]:
        """Samples from one position to another: mirrored before the start, zeros after the end."""
        count = len(self._samples)
        found = self._samples[max(0, first) : max(0, min(last, count))]
        samples = found.astype(np.float32) / np.float32(FULL_SCALE)
        if last > count:
            samples = np.pad(samples, (0, last - max(first, count, 0)))
        if first < 0:
            # The reference's transform mirrors in this way: without the first sample itself.
            start = self._samples[1 : 1 - first].astype(np.float32) / np.float32(FULL_SCALE)
            start = np.pad(start, (0, -first - len(start)))
            samples = np.concatenate([start[::-1], samples])
        return samples


@cache
def _hann_window(device: torch.device) -> Tensor:
    return torch.hann_window(N_FFT).to(device)
