"""The audio of recordings as a browser can play it: a few open files at a time."""

from __future__ import annotations

import struct
import threading
from collections import OrderedDict
from collections.abc import Callable
from contextlib import ExitStack, closing
from dataclasses import dataclass, field
from typing import Any, BinaryIO

from nightscribe.archives.entries import Rejection
from nightscribe.archives.opening import open_sources
from nightscribe.audio.operations import Decoding
from nightscribe.audio.samples import SAMPLE_RATE
from nightscribe.audio.workers import run_one
from nightscribe.errors import NightscribeError, Rejected
from nightscribe.settings import ArchiveLimits

__all__ = ["AudioFiles", "PlayableFile", "type_in_browsers"]

_DISK_BYTES = 4 << 30  # of decoded samples that are kept
_DECODERS = threading.BoundedSemaphore(2)  # processes that decode for players
_OPEN = 8  # files that are kept open: a player sends many requests for ranges of one file
_DIRECT = {
    ("mp3", "mp3"): "audio/mpeg",
    ("flac", "flac"): "audio/flac",
    ("wav", "pcm_s16le"): "audio/wav",
    ("wav", "pcm_u8"): "audio/wav",
    ("wav", "pcm_f32le"): "audio/wav",
    ("ogg", "vorbis"): "audio/ogg",
    ("ogg", "opus"): "audio/ogg",
    ("ogg", "flac"): "audio/ogg",
    ("mov,mp4,m4a,3gp,3g2,mj2", "aac"): "audio/mp4",
    ("mov,mp4,m4a,3gp,3g2,mj2", "mp3"): "audio/mp4",
    ("matroska,webm", "opus"): "audio/webm",
    ("matroska,webm", "vorbis"): "audio/webm",
    ("aac", "aac"): "audio/aac",
}
"""Container and codec by FFmpeg's names → type, of what current browsers play."""


def type_in_browsers(container: str, codec: str) -> str | None:
    """The media type of audio that browsers play as it is; None if it must be decoded first."""
    return _DIRECT.get((container, codec))


@dataclass
class PlayableFile:
    """A file that is open for players. Its bytes are read in any order, by one thread at a time."""

    size: int
    media_type: str
    read_at: Callable[[int, int], bytes]
    disk_bytes: int  # of the temporary folder that it takes
    keeps: object  # what must live as long as this file is read
    lock: threading.Lock = field(default_factory=threading.Lock)

    def read(self, start: int, count: int) -> bytes:
        """`count` bytes from `start`."""
        with self.lock:
            return self.read_at(start, count)


class AudioFiles:
    """Opens the audio of recordings from their sources, in place where possible."""

    def __init__(self, limits: ArchiveLimits) -> None:
        self._limits = limits
        self._lock = threading.Lock()
        self._open: OrderedDict[str, PlayableFile] = OrderedDict()
        self._opening: dict[str, threading.Lock] = {}

    def of(self, recording: dict[str, Any], sources: list[tuple[str, str]]) -> PlayableFile:
        """The audio of a row of `recordings` that lies at these sources (archive, member).

        Raises `NightscribeError` if no source has it any more, or it cannot be decoded.
        """
        key = recording["recording_id"]
        if (file := self._kept(key)) is not None:
            return file
        with self._lock:
            turn = self._opening.setdefault(key, threading.Lock())
        with turn:  # a player asks for several ranges at once
            try:
                if (file := self._kept(key)) is not None:
                    return file
                made = self._opened(recording, sources)
                with self._lock:
                    self._open[key] = made
                    self._make_room()
                return made
            finally:
                with self._lock:
                    self._opening.pop(key, None)

    def _kept(self, key: str) -> PlayableFile | None:
        with self._lock:
            if key in self._open:
                self._open.move_to_end(key)
            return self._open.get(key)

    def _make_room(self) -> None:
        """Drop the files that were read longest ago; they close when their players have gone."""
        while len(self._open) > 1 and (
            len(self._open) > _OPEN
            or sum(file.disk_bytes for file in self._open.values()) > _DISK_BYTES
        ):
            self._open.popitem(last=False)

    def _opened(self, recording: dict[str, Any], sources: list[tuple[str, str]]) -> PlayableFile:
        reasons = []
        for source in sources:
            with ExitStack() as stack:
                files = stack.enter_context(closing(open_sources([source], self._limits)))
                _, file = next(files)
                if isinstance(file, Rejection):
                    reasons.append(file.detail)
                    continue
                size = file.seek(0, 2)
                if size != recording["size_bytes"]:
                    reasons.append("its content has changed since it was ingested")
                    continue
                media_type = type_in_browsers(recording["container"], recording["codec"])
                if media_type is None:
                    return _decoded(file)
                kept = stack.pop_all()
                return PlayableFile(size, media_type, _reader(file), 0, kept)
        raise NightscribeError(
            "The audio of this recording cannot be read any more: " + "; ".join(reasons)
        )


def _reader(file: BinaryIO) -> Callable[[int, int], bytes]:
    def read_at(start: int, count: int) -> bytes:
        file.seek(start)
        return file.read(count)

    return read_at


def _decoded(file: BinaryIO) -> PlayableFile:
    """The samples that Whisper hears, as a WAV file."""
    file.seek(0)
    try:
        with _DECODERS:
            samples = run_one(Decoding(), file)
    except Rejected as rejected:
        raise NightscribeError(
            f"This recording cannot be decoded any more: {rejected.detail}"
        ) from rejected
    header = _wav_header(2 * len(samples.samples))

    def read_at(start: int, count: int) -> bytes:
        head = header[start : start + count]
        if len(head) == count:
            return head
        first = max(0, start - len(header))
        last = start + count - len(header)
        part = samples.samples[first // 2 : (last + 1) // 2].tobytes()
        return head + part[first % 2 : first % 2 + count - len(head)]

    size = len(header) + 2 * len(samples.samples)
    return PlayableFile(size, "audio/wav", read_at, size, samples)


def _wav_header(data_bytes: int) -> bytes:
    """Of 16-bit mono samples. A size that 32 bits cannot hold is stated as unknown."""
    stated = min(data_bytes, 0xFFFFFFFF - 36)
    form = struct.pack("<HHIIHH", 1, 1, SAMPLE_RATE, 2 * SAMPLE_RATE, 2, 16)
    return (
        b"RIFF"
        + struct.pack("<I", stated + 36)
        + b"WAVEfmt "
        + struct.pack("<I", len(form))
        + form
        + b"data"
        + struct.pack("<I", stated)
    )
