"""Encoded bytes in, 16 kHz mono samples out: what Whisper hears, streamed in blocks.

Does what `whisper.audio.load_audio` asks of the ffmpeg command (decode the best audio
stream, down-mix, resample, quantise to 16 bits), with the FFmpeg libraries that come with
PyAV, so that no system binary is needed. docs/audio.md has the measured differences.

A content decodes the same under any name: FFmpeg sees bytes and no file name, and only the
container formats listed here may be recognised, which leaves out playlists that name other
files or addresses. PyAV keeps FFmpeg's log off by default, and it stays off here: handing
log lines of FFmpeg's threads to Python can dead-lock.
"""

from __future__ import annotations

import io
import os
from collections import deque
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from fractions import Fraction
from itertools import islice
from typing import BinaryIO, TypeAlias

import av
import numpy as np
from av.audio.frame import AudioFrame
from av.audio.resampler import AudioResampler
from av.audio.stream import AudioStream
from av.container import InputContainer
from av.stream import Discard, Disposition
from numpy.typing import NDArray

from nightscribe.errors import Reason, Rejected

SAMPLE_RATE = 16_000  # Hz, what Whisper's mel filters are made for
FULL_SCALE = 32_768.0  # 2**15: 16-bit samples become floats in [-1, 1)
BLOCK_S = 30.0  # Whisper's window

CONTAINERS = (
    "aac,ac3,aiff,amr,amrnb,amrwb,ape,asf,asf_o,au,avi,caf,dsf,dts,eac3,flac,flv,matroska,mov,mp4,"
    "mp3,mpc,mpc8,mpeg,mpegts,mxf,nut,ogg,oma,rm,tak,truehd,tta,voc,w64,wav,webm,wv,xwma"
)
"""Container formats that may be opened, by FFmpeg's names. All hold their audio themselves."""

# Containers whose header states the duration; elsewhere FFmpeg guesses it from a bit rate.
_STATES_DURATION = frozenset(
    {"aiff", "au", "caf", "flac", "matroska", "mov", "mp3", "ogg", "w64", "wav"}
)

# What a header may promise beyond what is decoded: encoder delay and padding, rounding.
_MISSING_S = 0.25
# Time stamps of live recordings jitter by some packets, and a packet is about 20 ms.
_GAP_S = 0.05

# A sample rate outside this is a damaged or hostile header: from 1 Hz a kilobyte would grow to
# an hour of samples, and from 2 GHz FFmpeg's filter would take gigabytes.
_RATES = range(1_000, 6_000_000)  # Hz; DSD is decoded at up to 5.6 MHz

_RIFF_STREAMED = 0x7FFF0000  # sizes from here are what programs write who cannot know the size
_RIFF_SLOPPY = 64  # bytes; some programs count the header twice, or padding that they do not write

AudioFile: TypeAlias = str | os.PathLike[str] | BinaryIO


@dataclass(frozen=True)
class AudioInfo:
    """What the header of an audio file says."""

    container: str  # as FFmpeg names it; "mov,mp4,m4a,3gp,3g2,mj2" is one format
    codec: str  # as FFmpeg names it: pcm_s16le, mp3, opus …
    sample_rate: int  # Hz
    channels: int
    duration_s: float | None  # as stated or guessed from the bit rate: it may lie


@dataclass(frozen=True, eq=False)
class Decoded:
    """All samples of a recording."""

    samples: NDArray[np.float32]  # shape = (n,), in [-1, 1), at 16 kHz
    info: AudioInfo
    warning: str | None  # what was wrong with a file that could still be used


@dataclass(frozen=True)
class Inspected:
    """What decoding a recording from end to end tells about it."""

    info: AudioInfo
    duration_s: float  # of the decoded audio
    warning: str | None


def probe(file: AudioFile) -> AudioInfo:
    """Read the header only.

    Raises:
        Rejected: empty file, not audio, or no audio stream.
        OSError: the file could not be read.
    """
    with _opened(file) as recording:
        return recording.info


def inspect(
    file: AudioFile, *, min_duration_s: float = 0.0, max_duration_s: float | None = None
) -> Inspected:
    """Decode to the end and keep nothing but the exact duration and what went wrong.

    The duration is that of `decode` to within 1 ms; only the first frame is resampled.

    Raises:
        Rejected: as `probe`; also nothing could be decoded, too short, too long.
        OSError: the file could not be read.
    """
    with _opened(file) as recording:
        frames = recording.frames(min_duration_s, max_duration_s)
        deque(_quantised(islice(frames, 1)), maxlen=0)  # can it be resampled?
        deque(frames, maxlen=0)
        return Inspected(recording.info, float(recording.decoded_s), recording.warning())


def blocks(
    file: AudioFile,
    *,
    block_s: float = BLOCK_S,
    min_duration_s: float = 0.0,
    max_duration_s: float | None = None,
) -> Generator[NDArray[np.float32], None, str | None]:
    """Yield the samples in blocks of `block_s` seconds (the last is shorter), and return a warning.

    Each block is float32 of shape (n,), 16 kHz mono. Memory holds one block, not the
    recording. The generator's return value, `warning = yield from blocks(file)`, says what
    was wrong with a file that could still be used, or is None.

    Raises:
        Rejected: as `inspect`; `TOO_SHORT` and "nothing could be decoded" only at the end.
        OSError: the file could not be read.
    """
    with _opened(file) as recording:
        frames = recording.frames(min_duration_s, max_duration_s)
        for block in _in_blocks(_quantised(frames), round(block_s * SAMPLE_RATE)):
            yield _as_float(block)
        return recording.warning()


def decode(
    file: AudioFile, *, min_duration_s: float = 0.0, max_duration_s: float | None = None
) -> Decoded:
    """Decode the whole recording into memory: 230 MB an hour.

    Raises:
        Rejected: as `inspect`.
        OSError: the file could not be read.
    """
    with _opened(file) as recording:
        frames = recording.frames(min_duration_s, max_duration_s)
        pieces = deque(_in_blocks(_quantised(frames), round(BLOCK_S * SAMPLE_RATE)))
        samples = np.empty(sum(len(piece) for piece in pieces), dtype=np.float32)
        filled = 0
        while pieces:  # each piece is freed as it is converted: the peak is the result itself
            piece = pieces.popleft()
            samples[filled : filled + len(piece)] = _as_float(piece)
            filled += len(piece)
        return Decoded(samples, recording.info, recording.warning())


class _Source:
    """The file as FFmpeg sees it: bytes without a name, whose read errors are kept.

    FFmpeg takes a failed read for the end of the file, and PyAV would raise the error at
    some later call. Here the error (an interrupt or a time-out, too) waits in `error`, to be
    raised in place of the result.
    """

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self.error: BaseException | None = None

    def read(self, size: int) -> bytes:
        if self.error is None:
            try:
                return self._file.read(size)
            except BaseException as error:
                self.error = error
        return b""

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        if self.error is None:
            try:
                return self._file.seek(offset, whence)
            except BaseException as error:
                self.error = error
        return -1

    def tell(self) -> int:
        return self._file.tell()

    def raise_error(self) -> None:
        if self.error is not None:
            raise self.error


@dataclass
class _Recording:
    """One opened file, and what decoding it has found so far."""

    source: _Source
    container: InputContainer
    stream: AudioStream
    info: AudioInfo
    missing_bytes: int  # that the header promises beyond the end of the file
    decoded_s: Fraction = Fraction(0)
    bad_packets: int = 0
    first_bad_s: float = 0.0
    last_error: str = ""
    missing_s: float = 0.0  # that the time stamps jump over
    first_gap_s: float = 0.0
    stopped: str | None = None

    def frames(self, min_duration_s: float, max_duration_s: float | None) -> Iterator[AudioFrame]:
        """Decode frame by frame; what cannot be decoded is skipped and remembered, as ffmpeg does.

        The frames are as the codec gives them: any rate, layout and sample format.
        """
        expected_s: float | None = None
        for packet in self._packets():
            for frame in self._decoded(packet):
                _check_rate(frame)
                if frame.time is not None:
                    if expected_s is not None and frame.time - expected_s > _GAP_S:
                        if not self.missing_s:
                            self.first_gap_s = float(self.decoded_s)
                        self.missing_s += frame.time - expected_s
                    expected_s = frame.time + frame.samples / frame.sample_rate
                self.decoded_s += Fraction(frame.samples, frame.sample_rate)
                if max_duration_s is not None and self.decoded_s > max_duration_s:
                    raise Rejected(
                        Reason.TOO_LONG, f"longer than the {max_duration_s:g} s that are allowed"
                    )
                yield frame
        if not self.decoded_s:
            because = self.stopped or self.last_error
            raise Rejected(
                Reason.NOT_AUDIO,
                f"{self.info.codec} in {self.info.container}, but no audio could be decoded"
                + (f": {because}" if because else ""),
            )
        if self.decoded_s < min_duration_s:
            raise Rejected(
                Reason.TOO_SHORT,
                f"{float(self.decoded_s):.3f} s, shorter than the {min_duration_s:g} s that are "
                "needed",
            )

    def _packets(self) -> Iterator[av.Packet[AudioStream] | None]:
        """The stream's packets; the last one, empty or None, flushes the decoder."""
        packets = self.container.demux(self.stream)
        while True:
            try:
                packet = next(packets, None)
            except av.FFmpegError as error:
                # The container cannot be read on, but the decoder may still hold audio.
                self.stopped = _words(error)
                self.source.raise_error()
                yield None
                return
            self.source.raise_error()
            if packet is None:
                return
            yield packet

    def _decoded(self, packet: av.Packet[AudioStream] | None) -> list[AudioFrame]:
        try:
            frames = self.stream.decode(packet)
        except av.FFmpegError as error:
            if not self.bad_packets:
                self.first_bad_s = float(self.decoded_s)
            self.bad_packets += 1
            self.last_error = _words(error)
            return []
        return [frame for frame in frames if frame.samples]

    def warning(self) -> str | None:
        """What went wrong on the way, in one line, once `frames` has come to its end."""
        found = []
        if self.bad_packets:
            found.append(
                f"{self.bad_packets} damaged packet{'s' if self.bad_packets > 1 else ''} skipped, "
                f"the first at about {self.first_bad_s:.1f} s"
            )
        if self.missing_s:
            found.append(
                f"{self.missing_s:.2f} s missing, the first at about {self.first_gap_s:.1f} s"
            )
        if self.stopped:
            found.append(f"reading stopped at {float(self.decoded_s):.1f} s: {self.stopped}")
        elif self.missing_bytes:
            found.append(
                f"cut short at {float(self.decoded_s):.1f} s: {self.missing_bytes} bytes that the "
                "header states are not there"
            )
        elif self._is_cut_short():
            found.append(
                f"cut short: {float(self.decoded_s):.1f} s could be decoded of the "
                f"{self.info.duration_s:.1f} s that the header states"
            )
        return "; ".join(found) or None

    def _is_cut_short(self) -> bool:
        stated_s = self.info.duration_s
        if stated_s is None or _STATES_DURATION.isdisjoint(self.info.container.split(",")):
            return False
        if self.stream.duration is None and len(self.container.streams) > 1:
            return False  # the duration of the whole, and a picture may outlast the sound
        if self.info.container == "mp3":
            # Without a header for variable bit rates, the duration is a guess from the file's size.
            size = self.container.size
            if abs(stated_s * (self.stream.bit_rate or 0) / 8 - size) < size / 50:
                return False
        return stated_s - float(self.decoded_s) - self.missing_s > _MISSING_S


@contextmanager
def _opened(file: AudioFile) -> Iterator[_Recording]:
    """Open a file and pick its audio stream. An open file is read from its start, and left open."""
    if isinstance(file, str | os.PathLike):
        with open(file, "rb") as opened, _opened(opened) as recording:
            yield recording
        return
    missing_bytes = _missing_bytes(file)
    file.seek(0)
    source = _Source(file)
    try:
        container = av.open(
            source,
            mode="r",
            container_options={"format_whitelist": CONTAINERS},
            metadata_errors="replace",
        )
    except av.FFmpegError as error:
        source.raise_error()
        raise Rejected(
            Reason.NOT_AUDIO, f"cannot be opened as audio or video: {_words(error)}"
        ) from None
    with container:
        source.raise_error()
        stream = _best_stream(container)
        # One thread per recording: the callers run many recordings side by side.
        stream.codec_context.thread_count = 1
        for other in container.streams:
            if other.index != stream.index:
                other.discard = Discard.all
        yield _Recording(source, container, stream, _info(container, stream), missing_bytes)


def _missing_bytes(file: BinaryIO) -> int:
    """How many bytes a WAV file lacks of what its header states: FFmpeg takes that silently."""
    file.seek(0)
    head = file.read(12)
    if not head:
        raise Rejected(Reason.EMPTY_FILE, "the file has no bytes")
    stated = int.from_bytes(head[4:8], "little")
    if head[:4] != b"RIFF" or head[8:] != b"WAVE" or stated >= _RIFF_STREAMED:
        return 0
    missing = 8 + stated - file.seek(0, io.SEEK_END)
    return missing if missing > _RIFF_SLOPPY else 0


def _check_rate(frame: AudioFrame) -> None:
    if frame.sample_rate not in _RATES:
        raise Rejected(
            Reason.NOT_AUDIO,
            f"a sample rate of {frame.sample_rate} Hz, outside {_RATES.start} to {_RATES.stop} Hz",
        )


def _best_stream(container: InputContainer) -> AudioStream:
    """The stream that the ffmpeg command takes: the default one, then the one of most channels."""
    if not container.streams.audio:
        kinds = sorted({stream.type for stream in container.streams})
        raise Rejected(
            Reason.NO_AUDIO_STREAM,
            f"{container.format.name} with no audio stream (it has: {', '.join(kinds) or 'none'})",
        )
    # Without a decoder a stream has no codec context.
    streams = [stream for stream in container.streams.audio if stream.codec_context is not None]
    if not streams:
        raise Rejected(
            Reason.NOT_AUDIO, f"{container.format.name} with audio of a codec that FFmpeg lacks"
        )
    return max(
        streams,
        key=lambda stream: (
            stream.sample_rate > 0,
            Disposition.default in stream.disposition,
            stream.channels,
        ),
    )


def _info(container: InputContainer, stream: AudioStream) -> AudioInfo:
    duration_s = None
    if stream.duration is not None and stream.time_base is not None:
        duration_s = float(stream.duration * stream.time_base)
    elif container.duration is not None:
        duration_s = container.duration / av.time_base
    return AudioInfo(
        container=container.format.name,
        codec=stream.codec_context.codec.canonical_name,
        sample_rate=stream.sample_rate,
        channels=stream.channels,
        duration_s=duration_s,
    )


def _quantised(frames: Iterator[AudioFrame]) -> Iterator[NDArray[np.int16]]:
    """Down-mix, resample and round to 16 bits, in one step of FFmpeg's resampler, as ffmpeg does.

    Where a recording changes its rate or layout midway, the resampler starts anew.
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
            Reason.NOT_AUDIO, f"{form} cannot be mixed and resampled: {_words(error)}"
        ) from None
    for piece in resampled:
        if piece is not None:  # what flushing a resampler gives that has nothing to do
            yield piece.to_ndarray()[0]


def _in_blocks(pieces: Iterator[NDArray[np.int16]], size: int) -> Iterator[NDArray[np.int16]]:
    """Join and cut the pieces to arrays of shape (size,); the last is shorter."""
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


def _as_float(samples: NDArray[np.int16]) -> NDArray[np.float32]:
    return samples.astype(np.float32) / np.float32(FULL_SCALE)


def _words(error: av.FFmpegError) -> str:
    return error.strerror or type(error).__name__
