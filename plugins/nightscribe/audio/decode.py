"""Decode encoded bytes to 16 kHz mono samples, at once or as a stream of blocks.

The steps are those that `whisper.audio.load_audio` runs in the ffmpeg command: decode the best
audio stream, down-mix, resample, quantise to 16 bits. The FFmpeg libraries come with PyAV, so no
system binary is needed. docs/audio.md has the measured differences.

A file can crash FFmpeg, and with it the process. For untrusted files use
`nightscribe.audio.workers`, which calls this module in worker processes.
"""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from fractions import Fraction
from itertools import islice
from typing import BinaryIO

import numpy as np
from av.audio.frame import AudioFrame
from numpy.typing import NDArray

from nightscribe.audio.containers import AudioFile, AudioInfo, opened
from nightscribe.audio.frames import FrameDecoder
from nightscribe.audio.parts import parts
from nightscribe.audio.samples import SAMPLE_RATE, as_float, in_blocks, quantised
from nightscribe.audio.waveform import Waveform
from nightscribe.errors import AudioWarning, Reason, Rejected, WarningKind, warning_text

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
    waveform: Waveform

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
    with _binary(file) as binary:
        waveform = Waveform()
        chain = _Chain(binary, waveform)
        frames = chain.frames(min_duration_s, max_duration_s)
        deque(quantised(islice(frames, 1)), maxlen=0)  # raises if it cannot be resampled
        deque(frames, maxlen=0)
        return Inspected(chain.info, float(chain.decoded_s), chain.warnings(), waveform)


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
    with _binary(file) as binary:
        chain = _Chain(binary)
        frames = chain.frames(min_duration_s, max_duration_s)
        for block in in_blocks(quantised(frames), round(block_s * SAMPLE_RATE)):
            yield as_float(block)
        return chain.warnings()


def decode(
    file: AudioFile, *, min_duration_s: float = 0.0, max_duration_s: float | None = None
) -> Decoded:
    """Decode a recording into memory: 230 MB per hour.

    Raises:
        Rejected: as `inspect`.
        OSError: the file could not be read.
    """
    with _binary(file) as binary:
        chain = _Chain(binary)
        frames = chain.frames(min_duration_s, max_duration_s)
        pieces = deque(in_blocks(quantised(frames), round(BLOCK_S * SAMPLE_RATE)))
        samples = np.empty(sum(len(piece) for piece in pieces), dtype=np.float32)
        filled = 0
        while pieces:  # frees each piece after conversion, so that the result is the peak
            piece = pieces.popleft()
            samples[filled : filled + len(piece)] = as_float(piece)
            filled += len(piece)
        return Decoded(samples, chain.info, chain.warnings())


@contextmanager
def _binary(file: AudioFile) -> Iterator[BinaryIO]:
    if isinstance(file, str | os.PathLike):
        with open(file, "rb") as by_path:
            yield by_path
    else:
        yield file


class _Chain:
    """Decodes the parts of a file one after the other. Nearly every file has one part.

    A part that cannot be decoded is skipped if others can.
    """

    def __init__(self, file: BinaryIO, waveform: Waveform | None = None) -> None:
        self._file = file
        self._waveform = waveform
        self._found: list[tuple[int, AudioWarning]] = []  # number of the part, warning
        self._links = 0
        self._info: AudioInfo | None = None
        self.decoded_s = Fraction(0)

    @property
    def info(self) -> AudioInfo:
        """The header of the first part that has audio."""
        assert self._info is not None
        return self._info

    def frames(self, min_duration_s: float, max_duration_s: float | None) -> Iterator[AudioFrame]:
        """The frames of all parts.

        Raises:
            Rejected: no part has audio, too short, too long.
        """
        rejected: Rejected | None = None
        for number, encoded in enumerate(parts(self._file), start=1):
            self._links = number
            try:
                for frame, loudness in self._frames_of(number, encoded):
                    if self._waveform is not None and loudness is not None:
                        self._waveform.add(float(self.decoded_s), loudness)
                    self.decoded_s += Fraction(frame.samples, frame.sample_rate)
                    if max_duration_s is not None and self.decoded_s > max_duration_s:
                        raise Rejected(
                            Reason.TOO_LONG, f"longer than the maximum of {max_duration_s:g} s"
                        )
                    yield frame
            except Rejected as error:
                if error.reason is Reason.TOO_LONG:
                    raise
                rejected = rejected or error
                detail = f"no audio at {float(self.decoded_s):.1f} s: {error.detail}"
                self._found.append((number, AudioWarning(WarningKind.LINK_SKIPPED, detail)))
        if not self.decoded_s:
            assert rejected is not None
            raise rejected
        if self.decoded_s < min_duration_s:
            raise Rejected(
                Reason.TOO_SHORT,
                f"{float(self.decoded_s):.3f} s, shorter than the minimum of {min_duration_s:g} s",
            )

    def warnings(self) -> tuple[AudioWarning, ...]:
        """The flaws, after `frames` has ended: of a chain, one warning of each kind."""
        if self._links == 1:
            return tuple(warning for _, warning in self._found)
        merged = []
        for kind in dict.fromkeys(warning.kind for _, warning in self._found):
            same = [(number, warning) for number, warning in self._found if warning.kind is kind]
            known = [warning.missing_s for _, warning in same if warning.missing_s is not None]
            number, first = same[0]
            more = f" (also in {len(same) - 1} other links)" if len(same) > 1 else ""
            detail = f"link {number} of {self._links}: {first.detail}{more}"
            merged.append(AudioWarning(kind, detail, sum(known) if known else None))
        return tuple(merged)

    def _frames_of(
        self, number: int, encoded: BinaryIO
    ) -> Iterator[tuple[AudioFrame, float | None]]:
        """The frames of a part: of its preferred audio stream, else of the next that has audio.

        Each with its loudness, if it was measured.
        """
        passed_over: frozenset[int] = frozenset()
        rejected: Rejected | None = None
        while True:
            with opened(encoded, passed_over) as recording:
                decoder = FrameDecoder(recording, is_measured=self._waveform is not None)
                try:
                    yield from decoder.frames()
                except Rejected as error:
                    # A damaged header of one stream says nothing about the others.
                    rejected = rejected or error
                    if decoder.decoded_s:
                        raise
                    passed_over |= {recording.stream.index}
                    if len(passed_over) == len(recording.container.streams.audio):
                        raise rejected from None
                    continue
                self._info = self._info or recording.info
                if passed_over:
                    detail = (
                        f"audio stream {min(passed_over)} has no audio, so stream "
                        f"{recording.stream.index} is used"
                    )
                    self._found.append((number, AudioWarning(WarningKind.TRACK_EMPTY, detail, 0.0)))
                self._found += [(number, warning) for warning in decoder.warnings()]
                streams = [stream.index for stream in recording.container.streams.audio]
                silent = recording.stream.index if decoder.levels.silent else None
            if silent is not None:
                for other in set(streams) - passed_over - {silent}:
                    self._found += [(number, w) for w in _beside(encoded, silent, other, streams)]
            return


def _beside(
    encoded: BinaryIO, silent: int, other: int, streams: list[int]
) -> tuple[AudioWarning, ...]:
    """A warning if the stream `other`, of all the audio `streams`, has sound."""
    try:
        with opened(encoded, frozenset(streams) - {other}) as recording:
            decoder = FrameDecoder(recording, is_measured=True)
            deque(decoder.frames(), maxlen=0)
    except Rejected:
        return ()  # it is empty
    seconds = decoder.levels.audible_s
    if not seconds:
        return ()
    detail = (
        f"audio stream {silent} is silent; stream {other}, which is not used, has about "
        f"{seconds:.0f} s of sound"
    )
    return (AudioWarning(WarningKind.TRACK_SILENT, detail, seconds),)
