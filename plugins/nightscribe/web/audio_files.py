"""The audio of recordings as a browser can play it: a few open files at a time."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable
from contextlib import ExitStack, closing
from dataclasses import dataclass
from functools import partial
from typing import Any, BinaryIO

from nightscribe.archives.entries import Rejection
from nightscribe.archives.growing_copies import copied_bytes
from nightscribe.archives.opening import open_sources
from nightscribe.audio.piece_decoders import Encoded, PieceDecoders
from nightscribe.errors import NightscribeError
from nightscribe.settings import ArchiveLimits
from nightscribe.web.decoded_audio import DecodedAudio

__all__ = ["AudioFiles", "PlayableFile", "type_in_browsers"]

_DISK_BYTES = 4 << 30  # of decoded samples that are kept
_DECODERS = 2  # processes that decode for players
_OPEN = 24  # files that are kept open: a player sends many requests for ranges of one file
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
    """The media type of audio that browsers play as it is; None if it must be decoded."""
    return _DIRECT.get((container, codec))


@dataclass(frozen=True)
class PlayableFile:
    """A file that is open for players.

    Attributes:
        read: gives up to so many bytes from a position, at least one before the end; raises
            `NightscribeError` or `OSError`. Several threads may call it
        decoded: where its bytes come from, if they are decoded
        copied: how many bytes of the encoded recording are copied now
        keeps: what must live as long as this file is read
    """

    size: int
    media_type: str
    read: Callable[[int, int], bytes]
    decoded: DecodedAudio | None
    copied: Callable[[], int]
    keeps: object

    @property
    def disk_bytes(self) -> int:
        """Of the temporary folder that it may take now; some of them are in memory."""
        decoded = self.decoded.disk_bytes if self.decoded is not None else 0
        return decoded + self.copied()

    def forget(self, *, for_good: bool) -> None:
        """Give the space of decoded samples back."""
        if self.decoded is not None:
            self.decoded.forget(for_good=for_good)


class AudioFiles:
    """Opens the audio of recordings from their sources, in place where possible."""

    def __init__(self, limits: ArchiveLimits) -> None:
        self._limits = limits
        self._decoders = PieceDecoders(_DECODERS)
        self._lock = threading.Lock()
        self._open: OrderedDict[str, PlayableFile] = OrderedDict()
        self._opening: dict[str, threading.Lock] = {}

    def of(self, recording: dict[str, Any], sources: list[tuple[str, str]]) -> PlayableFile:
        """The audio of a row of `recordings` that lies at these sources (archive, member).

        Raises `NightscribeError` if no source has it any more.
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
        """Drop the files asked for longest ago; each closes when its players have gone."""
        while len(self._open) > 1 and (len(self._open) > _OPEN or self._disk_bytes() > _DISK_BYTES):
            _, dropped = self._open.popitem(last=False)
            dropped.forget(for_good=True)
        if self._disk_bytes() > _DISK_BYTES:
            for file in self._open.values():
                file.forget(for_good=False)

    def _disk_bytes(self) -> int:
        return sum(file.disk_bytes for file in self._open.values())

    def _opened(self, recording: dict[str, Any], sources: list[tuple[str, str]]) -> PlayableFile:
        reasons = []
        for source in sources:
            with ExitStack() as stack:
                opened = open_sources([source], self._limits, in_parts=True)
                files = stack.enter_context(closing(opened))
                _, file = next(files)
                if isinstance(file, Rejection):
                    reasons.append(file.detail)
                    continue
                size = file.seek(0, 2)
                if size != recording["size_bytes"]:
                    reasons.append("its content has changed since it was ingested")
                    continue
                return self._playable(recording, file, size, stack.pop_all())
        raise NightscribeError(
            "The audio of this recording cannot be read any more: " + "; ".join(reasons)
        )

    def _playable(
        self,
        recording: dict[str, Any],
        file: BinaryIO,
        size: int,
        keeps: object,
    ) -> PlayableFile:
        read, copied = _reader(file), partial(copied_bytes, file, size)
        media_type = type_in_browsers(recording["container"], recording["codec"])
        if media_type is not None:
            return PlayableFile(size, media_type, read, None, copied, keeps)
        encoded = Encoded(size, recording["duration_s"], read)
        decoded = DecodedAudio(encoded, self._decoders, self._has_grown)
        return PlayableFile(decoded.size, "audio/wav", decoded.read, decoded, copied, keeps)

    def _has_grown(self) -> None:
        with self._lock:
            self._make_room()


def _reader(file: BinaryIO) -> Callable[[int, int], bytes]:
    lock = threading.Lock()

    def read(start: int, count: int) -> bytes:
        with lock:
            file.seek(start)
            return file.read(count)

    return read
