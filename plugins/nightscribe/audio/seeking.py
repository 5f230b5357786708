"""Begin to decode a recording in the middle, at a position that is known to the sample.

A position is what a transcript means by it: seconds of decoded audio since the first sample. The
time stamps of a container may say something else: they jump where packets are missing, or drift
with the rounding of each packet. So a way to seek is used only if it proves right: from five
seconds before the end, it must decode as many samples as are left. Time stamps must not jump there.

There are two ways. By time stamps, FFmpeg seeks in the container. By counting, the frames of a
format without time stamps are found by their sizes, and FFmpeg gets the file without the frames
before the position.
"""

from __future__ import annotations

import io
import re
from abc import ABC, abstractmethod
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from fractions import Fraction
from itertools import chain, islice
from typing import BinaryIO, ClassVar, cast

import av
from av.audio.frame import AudioFrame

from nightscribe.audio.containers import Opened, opened
from nightscribe.audio.frames import FrameDecoder
from nightscribe.errors import Rejected
from nightscribe.file_slice import RandomAccessFile

__all__ = ["Seeking", "seeking"]

_AHEAD_S = 1.0  # decoded before a position, so that the decoder has the history that it needs
_MOST_AHEAD_S = 60.0  # a seek that lands further before its position has not worked
_TRIAL_S = 5.0
_TOLERANCE_S = 0.025
_JITTER_S = 0.1  # between time stamps and counted samples, over the trial

_EQUAL_PACKETS = 40  # of one size, by which all are taken to be of one size
_NOT_COUNTED = re.compile(r"pcm_|mp[123]")  # seek well by time stamps

# Bytes of a frame with its header: of 20 ms of speech by its type, then of comfort noise. Frames of
# higher types have a header only (RFC 4867, sections 3.6 and 5.3).
_AMR = {
    b"#!AMR\n": (13, 14, 16, 18, 20, 21, 27, 32, 6),
    b"#!AMR-WB\n": (18, 24, 33, 37, 41, 47, 51, 59, 61, 6),
}
_AMR_FRAME_S = Fraction(1, 50)
_AMR_NOTED = 50  # frames between positions that are kept
_MOST_AMR_BYTES = 512 << 20  # four days at the highest rate; counting them takes some seconds


class Seeking(ABC):
    """A way to begin in the middle of a recording. Keeps it open until it is closed."""

    by_time: ClassVar[bool]
    """Whether positions come from time stamps, which must not jump then."""

    @abstractmethod
    def frames_from(self, at_s: float) -> tuple[float, Iterator[AudioFrame]] | None:
        """Frames from `at_s` or some time before it, and the position of the first one.

        None if the recording cannot be entered there. Ends the iterator that was returned before.

        Raises:
            Rejected: the recording cannot be opened.
            OSError: it cannot be read.
        """

    @abstractmethod
    def close(self) -> None:
        """Close the recording; the file stays open."""


def seeking(file: BinaryIO, duration_s: float) -> Seeking | None:
    """The first way to seek in a recording of this length that proves right; None if none does.

    Raises `OSError` if the file cannot be read.
    """
    for way in (_by_counting, _ByTimestamps.of):
        try:
            found = way(file, duration_s)
        except Rejected:
            continue
        if found is None:
            continue
        if _is_right(found, duration_s):
            return found
        found.close()
    return None


def _is_right(way: Seeking, duration_s: float) -> bool:
    """Whether decoding from near the end gives as much audio as is left there."""
    try:
        begun = way.frames_from(max(0.0, duration_s - _TRIAL_S))
        if begun is None:
            return False
        position, frames = begun
        left, first_s, last_s = 0.0, None, None
        for frame in frames:
            first_s = first_s if first_s is not None else frame.time
            left += frame.samples / frame.sample_rate
            last_s = frame.time + frame.samples / frame.sample_rate if frame.time else last_s
    except Rejected:
        return False
    if way.by_time and abs((last_s or 0.0) - (first_s or 0.0) - left) > _JITTER_S:
        return False
    return abs(position + left - duration_s) <= _TOLERANCE_S


class _ByTimestamps(Seeking):
    """FFmpeg seeks in the container."""

    by_time = True

    def __init__(self, open_files: ExitStack, recording: Opened, first_s: float) -> None:
        self._open_files = open_files
        self._recording = recording
        self._first_s = first_s  # time stamp of the first frame

    @classmethod
    def of(cls, file: BinaryIO, duration_s: float) -> _ByTimestamps | None:
        with ExitStack() as stack:
            recording = stack.enter_context(opened(file))
            first = next((frame for frame, _ in FrameDecoder(recording).frames()), None)
            if first is not None and first.time is not None:
                return cls(stack.pop_all(), recording, first.time)
        return None

    def frames_from(self, at_s: float) -> tuple[float, Iterator[AudioFrame]] | None:
        recording = self._recording
        time_base = recording.stream.time_base
        if time_base is None:
            return None
        for ahead_s in (_AHEAD_S, 10 * _AHEAD_S):
            wanted_s = max(0.0, at_s - ahead_s) + self._first_s
            try:
                recording.container.seek(round(wanted_s / time_base), stream=recording.stream)
            except av.FFmpegError:
                recording.source.raise_error()
                return None
            frames = (frame for frame, _ in FrameDecoder(recording).frames())
            for frame in frames:
                if frame.time is None:
                    continue
                position = frame.time - self._first_s
                if at_s - _MOST_AHEAD_S <= position <= at_s:
                    return position, chain([frame], frames)
                break
        return None

    def close(self) -> None:
        self._open_files.close()


@dataclass(frozen=True)
class _Counted:
    """Frames that lie one behind the other: every `step`-th of them begins at one of `starts`."""

    starts: range | list[int]  # bytes
    step_s: float  # seconds from one start to the next


class _ByCounting(Seeking):
    """FFmpeg gets the head of the file and what follows from a frame on."""

    by_time = False

    def __init__(self, file: BinaryIO, counted: _Counted) -> None:
        self._file = file
        self._counted = counted
        self._open_files = ExitStack()

    def frames_from(self, at_s: float) -> tuple[float, Iterator[AudioFrame]] | None:
        self._open_files.close()
        starts = self._counted.starts
        number = int(max(0.0, at_s - _AHEAD_S) / self._counted.step_s)
        if number >= len(starts):  # a header that promises more than there is
            return None
        rest = _Without(self._file, starts[0], starts[number])
        recording = self._open_files.enter_context(opened(cast(BinaryIO, rest)))
        frames = (frame for frame, _ in FrameDecoder(recording).frames())
        return number * self._counted.step_s, frames

    def close(self) -> None:
        self._open_files.close()


class _Without(RandomAccessFile):
    """An open file without its bytes from `start` to `end`."""

    def __init__(self, file: BinaryIO, start: int, end: int) -> None:
        super().__init__(file.seek(0, io.SEEK_END) - (end - start))
        self._file = file
        self._start = start
        self._left_out = end - start

    def read_at(self, position: int, count: int) -> bytes:
        count = min(count, max(0, self.size - position))
        if position < self._start:
            count = min(count, self._start - position)
        else:
            position += self._left_out
        self._file.seek(position)
        return self._file.read(count)


def _by_counting(file: BinaryIO, duration_s: float) -> Seeking | None:
    file.seek(0)
    head = file.read(max(map(len, _AMR)))
    for magic, sizes in _AMR.items():
        if head.startswith(magic) and file.seek(0, io.SEEK_END) <= _MOST_AMR_BYTES:
            return _ByCounting(file, _amr_frames(file, len(magic), sizes))
    counted = _equal_packets(file, duration_s)
    return _ByCounting(file, counted) if counted is not None else None


def _amr_frames(file: BinaryIO, start: int, sizes: tuple[int, ...]) -> _Counted:
    """The frames of an AMR file, whose sizes may vary with what is said.

    Frames without speech count as no time: FFmpeg skips them.
    """
    types = [header >> 3 & 0xF for header in range(256)]
    size_of = [sizes[kind] if kind < len(sizes) else 1 for kind in types]
    has_speech = [kind < len(sizes) - 1 for kind in types]
    starts = []
    file.seek(start)
    base, at = start, 0  # the next frame begins at byte `at` of a block, which begins at `base`
    frame = 0
    while block := file.read(1 << 20):
        end = len(block)
        while at < end:
            header = block[at]
            if has_speech[header]:
                if not frame % _AMR_NOTED:
                    starts.append(base + at)
                frame += 1
            at += size_of[header]
        base, at = base + end, at - end
    return _Counted(starts, float(_AMR_NOTED * _AMR_FRAME_S))


def _equal_packets(file: BinaryIO, duration_s: float) -> _Counted | None:
    """The packets of a file that is nothing but packets of one size behind a header.

    None if they are not, or do not add up to the length of the recording.
    """
    with opened(file) as recording:
        if _NOT_COUNTED.match(recording.info.codec):
            return None
        packets = islice(recording.container.demux(recording.stream), _EQUAL_PACKETS)
        places = [(packet.pos, packet.size) for packet in packets if packet.size]
    sizes = {size for _, size in places}
    if len(places) < _EQUAL_PACKETS or len(sizes) != 1:
        return None
    [size] = sizes
    start = places[0][0]
    if start is None or [at for at, _ in places] != [start + n * size for n in range(len(places))]:
        return None
    count = (file.seek(0, io.SEEK_END) - start) / size
    samples = round(duration_s * recording.info.sample_rate / count)
    step_s = samples / recording.info.sample_rate
    if abs(step_s * count - duration_s) > step_s:
        return None
    return _Counted(range(start, start + int(count) * size, size), step_s)
