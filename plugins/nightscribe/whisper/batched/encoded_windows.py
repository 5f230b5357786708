"""Features of windows: computed by the encoder in batches, and kept for as long as they are needed.

A window's features serve both tasks of a recording, every temperature, and word timestamps.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence

import torch
from torch import Tensor

from nightscribe.whisper.batched.log_mel import LogMel
from nightscribe.whisper.batched.model import Network
from nightscribe.whisper.batched.windows import Window

__all__ = ["RecordingFeatures", "encode_windows"]

_MIN_KEPT = 2


class RecordingFeatures:
    """A recording's spectrogram, and the features (1500, width) of its latest windows."""

    def __init__(self, log_mel: LogMel, jobs: int, *, language_from: int = 0) -> None:
        self.log_mel = log_mel
        self.language_from = language_from
        """First frame of the 30 s in which the language is detected."""
        # The jobs of a recording may be at different windows.
        self._most_kept = max(_MIN_KEPT, jobs)
        self._kept: OrderedDict[Window, Tensor] = OrderedDict()

    def get(self, window: Window) -> Tensor | None:
        """Features of a window, if they are kept."""
        return self._kept.get(window)

    def keep(self, window: Window, features: Tensor) -> None:
        """Keep a window's features, and drop the oldest."""
        self._kept[window] = features
        while len(self._kept) > self._most_kept:
            self._kept.popitem(last=False)

    def clear(self) -> None:
        """Drop all features."""
        self._kept.clear()


def encode_windows(
    network: Network, windows: Sequence[tuple[RecordingFeatures, Window]], batch_size: int
) -> Tensor:
    """Features (windows, 1500, width) of windows of recordings: kept ones, or computed now.

    The encoder computes `batch_size` windows at a time.
    """
    found = {
        (recording, window): features
        for recording, window in windows
        if (features := recording.get(window)) is not None
    }
    missing = list(dict.fromkeys(wanted for wanted in windows if wanted not in found))
    for first in range(0, len(missing), batch_size):
        batch = missing[first : first + batch_size]
        mel = torch.stack([recording.log_mel.window(window) for recording, window in batch])
        for (recording, window), features in zip(batch, network.encode(mel), strict=True):
            found[recording, window] = features
            recording.keep(window, features)
    return torch.stack([found[wanted] for wanted in windows])
