"""Decode encoded bytes to 16 kHz mono samples, at once or as a stream of blocks.

The steps are those that `whisper.audio.load_audio` runs in the ffmpeg command: decode the best
audio stream, down-mix, resample, quantise to 16 bits. The FFmpeg libraries come with PyAV, so no
system binary is needed. docs/audio.md has the measured differences.

A file can crash FFmpeg, and with it the process. For untrusted files use
`nightscribe.audio.workers`, which calls this module in worker processes.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Generator, Iterator
from dataclasses import dataclass
from fractions import Fraction
from itertools import islice

import av
import numpy as np
from av.audio.frame import AudioFrame
from av.audio.stream import AudioStream
from numpy.typing import NDArray

from nightscribe.audio.containers import AudioFile, AudioInfo, Opened, error_text, opened
from nightscribe.audio.damage import Damage
from nightscribe.audio.samples import SAMPLE_RATE, as_float, check_rate, in_blocks, quantised
from nightscribe.errors import AudioWarning, Reason, Rejected, warning_text

__all__ = ["BLOCK_S", "Decoded", "Inspected", "blocks", "decode", "inspect"]

BLOCK_S = 30.0  # Whisper's window


@dataclass(frozen=True, eq=False)
class Decoded:
    """All samples of a recording."""

    samples: NDArray[np.float32]  # shape = (n,), in [-1, 1), at 16 kHz
    info: AudioInfo
    warnings: tuple[AudioWarning, ...]  # flaws of a file that can still be used

    @property
    def warning(self) -> str | None:
        """The warnings in one line."""
        return warning_text(self.warnings)


@dataclass(frozen=True)
class Inspected:
    """The result of decoding a recording without keeping its samples."""

    info: AudioInfo
    duration_s: float  # of the decoded audio
    warnings: tuple[AudioWarning, ...]

    @property
    def warning(self) -> str | None:
        """The warnings in one line."""
        return warning_text(self.warnings)


def inspect(
    file: AudioFile, *, min_duration_s: float = 0.0, max_duration_s: float | None = None
) -> Inspected:
    """Decode to the end; return the header, the exact duration and the warnings.

    The duration is within 1 ms of that of `decode`. Only the first frame is resampled.

    Raises:
        Rejected: as `probe`; also no audio decoded, too short, too long.
        OSError: the file could not be read.
    """
    with opened(file) as recording:
        decoder = _Decoder(recording)
        frames = decoder.frames(min_duration_s, max_duration_s)
        deque(quantised(islice(frames, 1)), maxlen=0)  # raises if it cannot be resampled
        deque(frames, maxlen=0)
        return Inspected(recording.info, float(decoder.decoded_s), decoder.warnings())


def blocks(
    file: AudioFile,
    *,
    block_s: float = BLOCK_S,
    min_duration_s: float = 0.0,
    max_duration_s: float | None = None,
) -> Generator[NDArray[np.float32], None, tuple[AudioWarning, ...]]:
    """Yield the samples in blocks of `block_s` seconds; the last block may be shorter.

    A block is a float32 array of shape (n,), 16 kHz mono. One block at a time is in memory. The
    generator's return value, `warnings = yield from blocks(file)`, describes the flaws of a file
    that can still be used.

    Raises:
        Rejected: as `inspect`; for too short and for no audio decoded, only at the end.
        OSError: the file could not be read.
    """
    with opened(file) as recording:
        decoder = _Decoder(recording)
        frames = decoder.frames(min_duration_s, max_duration_s)
        for block in in_blocks(quantised(frames), round(block_s * SAMPLE_RATE)):
            yield as_float(block)
        return decoder.warnings()


def decode(
    file: AudioFile, *, min_duration_s: float = 0.0, max_duration_s: float | None = None
) -> Decoded:
    """Decode a recording into memory: 230 MB per hour.

    Raises:
        Rejected: as `inspect`.
        OSError: the file could not be read.
    """
    with opened(file) as recording:
        decoder = _Decoder(recording)
        frames = decoder.frames(min_duration_s, max_duration_s)
        pieces = deque(in_blocks(quantised(frames), round(BLOCK_S * SAMPLE_RATE)))
        samples = np.empty(sum(len(piece) for piece in pieces), dtype=np.float32)
        filled = 0
        while pieces:  # frees each piece after conversion, so that the result is the peak
            piece = pieces.popleft()
            samples[filled : filled + len(piece)] = as_float(piece)
            filled += len(piece)
        return Decoded(samples, recording.info, decoder.warnings())


class _Decoder:
    """Decodes an open recording; counts its seconds and records its damage."""

    def __init__(self, recording: Opened) -> None:
        self._recording = recording
        self._damage = Damage()
        self.decoded_s = Fraction(0)

    def frames(self, min_duration_s: float, max_duration_s: float | None) -> Iterator[AudioFrame]:
        """Decode frame by frame. Packets that cannot be decoded are skipped, as by ffmpeg, and
        recorded as damage.

        Frames have the codec's rate, layout and sample format.
        """
        expected_s: float | None = None
        for packet in self._packets():
            for frame in self._frames_of(packet):
                check_rate(frame)
                if frame.time is not None:
                    if expected_s is not None:
                        self._damage.note_gap(float(self.decoded_s), frame.time - expected_s)
                    expected_s = frame.time + frame.samples / frame.sample_rate
                self.decoded_s += Fraction(frame.samples, frame.sample_rate)
                if max_duration_s is not None and self.decoded_s > max_duration_s:
                    raise Rejected(
                        Reason.TOO_LONG, f"longer than the maximum of {max_duration_s:g} s"
                    )
                yield frame
        if not self.decoded_s:
            raise self._nothing_decoded()
        if self.decoded_s < min_duration_s:
            raise Rejected(
                Reason.TOO_SHORT,
                f"{float(self.decoded_s):.3f} s, shorter than the minimum of {min_duration_s:g} s",
            )

    def warnings(self) -> tuple[AudioWarning, ...]:
        """The flaws, after `frames` has ended."""
        return self._damage.warnings(self._recording, float(self.decoded_s))

    def _nothing_decoded(self) -> Rejected:
        info, cause = self._recording.info, self._damage.stopped or self._damage.last_error
        return Rejected(
            Reason.NOT_AUDIO,
            f"{info.codec} in {info.container}, but no audio could be decoded"
            + (f": {cause}" if cause else ""),
        )

    def _packets(self) -> Iterator[av.Packet[AudioStream] | None]:
        """Yield the stream's packets; the last is empty or None, and flushes the decoder."""
        recording = self._recording
        packets = recording.container.demux(recording.stream)
        while True:
            try:
                packet = next(packets, None)
            except av.FFmpegError as error:
                # The rest of the container cannot be read, but the decoder may still hold audio.
                self._damage.stopped = error_text(error)
                recording.source.raise_error()
                yield None
                return
            recording.source.raise_error()
            if packet is None:
                return
            yield packet

    def _frames_of(self, packet: av.Packet[AudioStream] | None) -> list[AudioFrame]:
        try:
            frames = self._recording.stream.decode(packet)
        except av.FFmpegError as error:
            self._damage.note_bad_packet(float(self.decoded_s), error_text(error))
            return []
        return [frame for frame in frames if frame.samples]
