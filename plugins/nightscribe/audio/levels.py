"""Find sound that the mono mix loses: channels that cancel, and channels that it leaves out.

Whisper hears one channel. A recording whose right channel is the inverted left one becomes silence,
and FFmpeg's mix leaves out the LFE channel. Both look like a pause. Two frames of a second are
measured, so the seconds are estimates.
"""

from __future__ import annotations

import av
import numpy as np
from av.audio.frame import AudioFrame
from av.audio.layout import AudioLayout
from av.audio.resampler import AudioResampler
from numpy.typing import NDArray

from nightscribe.errors import AudioWarning, WarningKind

__all__ = ["Levels"]

_EVERY_S = 0.5
_SILENT = 1e-6  # a mean square below this is silence: -60 dBFS
_AUDIBLE = 1e-5  # quiet speech: -50 dBFS
_CANCELLED = 10 ** (-15 / 10)  # the mix is 15 dB weaker than the sum of its channels
# FFmpeg's mix has the surround channels at half the weight of the centre, and no LFE.
_WEAK = 0.6
_ONLY = 0.99  # share of the power of all channels: the others are 20 dB weaker
_LEAST_S = 1.0  # a shorter loss is not worth a warning


class Levels:
    """The levels of the channels of an audio stream, and of their mono mix."""

    def __init__(self) -> None:
        self._unmeasured_s = 0.0
        self._loudest = 0.0  # mean square of a frame of a channel
        self._audible_s = 0.0
        self._cancelled_s = 0.0
        self._weak_s: dict[tuple[str, bool], float] = {}  # channel, whether the mix has it
        self._form: tuple[str, str, int] | None = None
        self._channels: list[str] = []
        self._unpacker = AudioResampler()
        self._weights: NDArray[np.float32] | None = None

    @property
    def silent(self) -> bool:
        """Whether no channel had any sound."""
        return self._loudest < _SILENT

    @property
    def audible_s(self) -> float:
        """Seconds in which a channel was as loud as quiet speech, or louder."""
        return self._audible_s

    def add(self, frame: AudioFrame) -> float | None:
        """Measure a decoded frame if its turn has come.

        Returns the mean square of its loudest channel; None if it was not measured.
        """
        self._unmeasured_s += frame.samples / frame.sample_rate
        if self._unmeasured_s < _EVERY_S and self._form:
            return None
        seconds, self._unmeasured_s = self._unmeasured_s, 0.0
        form = (frame.format.name, frame.layout.name, frame.sample_rate)
        try:
            if form != self._form:
                self._weights = _weights(frame.layout)
                # Packed: PyAV's arrays of more than 8 planes are unsafe.
                self._unpacker = AudioResampler("flt", frame.layout, frame.sample_rate)
                self._channels = [channel.name for channel in frame.layout.channels]
                self._form = form
            if self._weights is None:
                return None
            pieces = self._unpacker.resample(frame)
        except (av.FFmpegError, ValueError):
            return None  # what cannot be mixed is reported where it is mixed
        loudest: float | None = None
        for piece in pieces:
            if not piece.samples:
                continue
            samples = piece.to_ndarray().reshape(-1, len(self._channels)).astype(np.float32)
            loudest = max(loudest or 0.0, self._measure(samples, self._weights, seconds))
        return loudest

    def warnings(self) -> tuple[AudioWarning, ...]:
        """What the mono mix has lost of this stream."""
        found = []
        if self._cancelled_s >= _LEAST_S:
            detail = f"the channels cancel in the mono mix for about {self._cancelled_s:.0f} s"
            found.append(AudioWarning(WarningKind.CHANNELS_CANCEL, detail, self._cancelled_s))
        for (channel, mixed), seconds in self._weak_s.items():
            if seconds < _LEAST_S:
                continue
            what = "has at half its level" if mixed else "leaves out"
            detail = (
                f"about {seconds:.0f} s are only on channel {channel}, which the mono mix {what}"
            )
            missing_s = 0.0 if mixed else seconds
            found.append(AudioWarning(WarningKind.CHANNEL_LEFT_OUT, detail, missing_s))
        return tuple(found)

    def _measure(
        self, samples: NDArray[np.float32], weights: NDArray[np.float32], seconds: float
    ) -> float:
        """Add samples of shape (n, channels) that stand for so many seconds."""
        power = np.nan_to_num(np.einsum("nc,nc->c", samples, samples) / len(samples))
        loudest = int(np.argmax(power))
        self._loudest = max(self._loudest, float(power[loudest]))
        if power[loudest] < _AUDIBLE:
            return float(power[loudest])
        self._audible_s += seconds
        if len(power) == 1:
            return float(power[loudest])
        weak = weights < _WEAK * weights.max()
        if power[weak].sum() >= _ONLY * power.sum():
            key = (self._channels[loudest], bool(weights[loudest]))
            if self._channels[loudest] == "NONE":  # a channel without a place
                key = (str(loudest + 1), key[1])
            self._weak_s[key] = self._weak_s.get(key, 0.0) + seconds
            return float(power[loudest])
        mixed = samples @ weights
        if mixed @ mixed / len(mixed) < _CANCELLED * (power @ weights**2):
            self._cancelled_s += seconds
        return float(power[loudest])


def _weights(layout: AudioLayout) -> NDArray[np.float32]:
    """The weight of each channel in FFmpeg's mono mix: it mixes one sample of each channel alone.

    Raises `FFmpegError` for a layout that cannot be mixed.
    """
    count = layout.nb_channels
    unit = 2**14
    alone = (np.eye(count) * unit).astype(np.int16).reshape(1, -1)
    frame = AudioFrame.from_ndarray(alone, format="s16", layout=layout)
    frame.sample_rate = 16_000
    mixed = AudioResampler("s16", "mono", 16_000).resample(frame)
    weights = np.concatenate([piece.to_ndarray()[0] for piece in mixed]) / unit
    return weights.astype(np.float32)
