"""A window: the 30 s of a recording that the network reads at once."""

from __future__ import annotations

from dataclasses import dataclass

from whisper.audio import HOP_LENGTH, N_FRAMES, SAMPLE_RATE

__all__ = ["Window"]


@dataclass(frozen=True)
class Window:
    """Where a window lies in its recording. Padding follows its content, up to 30 s."""

    seek: int  # first frame, 100 a second
    size: int  # frames of content, at most 3000

    @property
    def start_s(self) -> float:
        """Start in the recording, in seconds."""
        return float(self.seek * HOP_LENGTH / SAMPLE_RATE)

    @property
    def content_s(self) -> float:
        """Length of the content, in seconds."""
        return float(self.size * HOP_LENGTH / SAMPLE_RATE)

    @property
    def padded_end_s(self) -> float:
        """End of the whole window, padding included, in seconds of the recording."""
        return float((self.seek + N_FRAMES) * HOP_LENGTH / SAMPLE_RATE)
