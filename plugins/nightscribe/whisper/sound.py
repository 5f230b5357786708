"""A recording's samples and their log-mel spectrogram, window by window.

The reference computes the spectrogram of a whole recording at once, with 30 s of zeros behind it,
and clamps it at its maximum less 8 (powers of ten). Here the maximum is found in one pass, block
by block, and each window is computed when it is wanted, so that the memory does not grow with the
recording. A short recording's spectrogram is kept from the first pass.
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

_BLOCK_FRAMES = 6_000  # a minute
_KEPT_FRAMES = 2 * _BLOCK_FRAMES
_EDGE = N_FFT // 2  # samples by which the first and the last frame reach over the ends
_RANGE = 8.0


class Sound:
    """A recording: 16-bit samples, 16 kHz mono, read slice by slice."""

    def __init__(self, samples: Stored, bins: int, device: str) -> None:
        self._samples = samples
        self._bins = bins
        self._device = torch.device(device)
        self.frames = len(samples) // HOP_LENGTH
        """Frames of content, 100 a second."""
        # Two frames behind the content reach back into it.
        end = self.frames + 3
        blocks = []
        loudest = -torch.inf
        for first in range(0, end, _BLOCK_FRAMES):
            block = self._log_mel(first, min(end, first + _BLOCK_FRAMES))
            loudest = max(loudest, float(block.max()))
            if end <= _KEPT_FRAMES:
                blocks.append(block)
        self._floor = loudest - _RANGE
        self._kept = torch.cat(blocks, dim=1) if blocks else None

    def window(self, seek: int, size: int) -> Tensor:
        """Features (bins, 3000) of a window with so many frames of content, and zeros behind."""
        return F.pad(self._features(seek, seek + size), (0, N_FRAMES - size))

    def opening(self) -> Tensor:
        """Features (bins, 3000) of the first 30 s, in which the language is looked for."""
        return self._features(0, N_FRAMES)

    def _features(self, first: int, last: int) -> Tensor:
        if self._kept is not None:
            # Behind what was kept there is silence.
            part = self._kept[:, first:last]
            part = F.pad(part, (0, last - first - part.shape[1]), value=-10.0)
        else:
            part = self._log_mel(first, last)
        return (part.clamp(min=self._floor) + 4.0) / 4.0

    def _log_mel(self, first: int, last: int) -> Tensor:
        """log10 of the mel spectrogram (bins, last - first), at least -10, not yet clamped."""
        samples = self._padded(first * HOP_LENGTH - _EDGE, (last - 1) * HOP_LENGTH + _EDGE)
        audio = torch.from_numpy(samples).to(self._device)
        spectrum = torch.stft(
            audio,
            N_FFT,
            HOP_LENGTH,
            window=_window(self._device),
            center=False,
            return_complex=True,
        )
        mel: Tensor = mel_filters(self._device, self._bins) @ (spectrum.abs() ** 2)
        return mel.clamp(min=1e-10).log10()

    def _padded(self, first: int, last: int) -> NDArray[np.float32]:
        """Samples from one position to another: mirrored before the start, zeros behind the end."""
        count = len(self._samples)
        found = self._samples[max(0, first) : max(0, min(last, count))]
        samples = found.astype(np.float32) / np.float32(FULL_SCALE)
        if last > count:
            samples = np.pad(samples, (0, last - max(first, count, 0)))
        if first < 0:
            # As the reference's transform mirrors: without the sample at the edge itself.
            start = self._samples[1 : 1 - first].astype(np.float32) / np.float32(FULL_SCALE)
            start = np.pad(start, (0, -first - len(start)))
            samples = np.concatenate([start[::-1], samples])
        return samples


@cache
def _window(device: torch.device) -> Tensor:
    return torch.hann_window(N_FFT).to(device)
