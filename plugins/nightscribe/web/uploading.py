"""Files that people send: streamed to disk within limits, examined, and kept by their content.

A file lies at `<folder>/<recording_id>/<name>`, so that its address in the lake is known before a
run has read it. The same content is kept once, under its first name.
"""

from __future__ import annotations

import asyncio
import errno
import hashlib
import os
import re
import shutil
import time
import unicodedata
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from starlette.requests import ClientDisconnect

from nightscribe.archives.kinds import Kind, kind_of
from nightscribe.audio.decode import Inspected
from nightscribe.audio.operations import Inspection
from nightscribe.audio.workers import run_one
from nightscribe.errors import Rejected
from nightscribe.settings import GIB, Settings

__all__ = ["Received", "Refused", "check_room", "receive", "safe_name"]

_PARTIAL = ".partial-"
_BLOCK = 1 << 20
_LEFT_FREE = GIB  # bytes of the disk that uploads do not use
_AT_ONCE = 4  # files that are received at the same time
_NAME_BYTES = 180
_IDLE_S = 60.0  # a sender that sends nothing for so long has gone
_ABANDONED_S = 24 * 3600  # then what a killed server left is removed
_places = asyncio.Semaphore(_AT_ONCE)


class Refused(Exception):
    """A file that is not taken. `status` is the HTTP status."""

    def __init__(self, status: int, detail: str) -> None:
        super().__init__(detail)
        self.status = status
        self.detail = detail


@dataclass(frozen=True)
class Received:
    """A file that was received and can be transcribed."""

    path: Path
    recording_id: str
    duration_s: float
    is_new: bool  # the folder did not have this content

    def discard(self) -> None:
        """Remove the file if it came with this request."""
        if self.is_new:
            self.path.unlink(missing_ok=True)
            with suppress(OSError):  # somebody else has put a file there
                self.path.parent.rmdir()


def safe_name(name: str) -> str:
    """A file name without folders, control characters and hidden beginnings.

    >>> safe_name("../../etc/a b.wav"), safe_name("C:\\\\talks\\\\x.mp3")
    ('a b.wav', 'x.mp3')
    """
    base = re.split(r"[/\\]", name)[-1]
    base = "".join(c for c in base if unicodedata.category(c)[0] != "C").strip().lstrip(".")
    stem, suffix = os.path.splitext(base)
    while len((stem + suffix).encode()) > _NAME_BYTES and stem:
        stem = stem[:-1]
    return stem + suffix


async def receive(
    name: str,
    size: int | None,
    content: AsyncIterator[bytes],
    settings: Settings,
    is_gone: Callable[[], Awaitable[bool]],
) -> Received:
    """Write a file to the folder of uploads while it comes in.

    Args:
        size: bytes that the sender states, if it does
        is_gone: whether the sender does not wait any more

    Raises:
        Refused: it is too large, no recording, or there is no room for it; nothing of it is kept
    """
    name = safe_name(name)
    if kind_of(name) is not Kind.AUDIO:
        raise Refused(
            415,
            f"{name or 'a file without a name'} is no audio or video file by its name. Zips and "
            "other archives belong into an archive of the nightly run.",
        )
    if _places.locked():
        raise Refused(503, "Many files are being received; try again in a minute.")
    folder = Path(settings.uploads).absolute()
    async with _places:
        try:
            return await _received(name, size, content, settings, folder, is_gone)
        except OSError as error:
            full = error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
            raise Refused(
                507 if full else 503,
                f"The folder of the uploads cannot be written: {error.strerror or error}.",
            ) from error


async def _received(
    name: str,
    size: int | None,
    content: AsyncIterator[bytes],
    settings: Settings,
    folder: Path,
    is_gone: Callable[[], Awaitable[bool]],
) -> Received:
    folder.mkdir(parents=True, exist_ok=True)
    check_room(folder, size or 0, settings)
    _remove_abandoned(folder)
    partial = folder / f"{_PARTIAL}{uuid.uuid4().hex}"
    try:
        recording_id = await _write(partial, content, settings)
        try:
            inspected = await asyncio.to_thread(_inspected, partial, settings)
        except Rejected as error:
            raise Refused(422, f"{name} cannot be used: {error.detail}") from error
        if await is_gone():
            raise Refused(499, "Nobody waits for this file any more.")
        place = folder / recording_id
        place.mkdir(exist_ok=True)
        for kept in sorted(place.iterdir()):
            return Received(kept, recording_id, inspected.duration_s, is_new=False)
        partial.replace(place / name)
        return Received(place / name, recording_id, inspected.duration_s, is_new=True)
    finally:
        partial.unlink(missing_ok=True)


def _remove_abandoned(folder: Path) -> None:
    for partial in folder.glob(f"{_PARTIAL}*"):
        with suppress(FileNotFoundError):
            if time.time() - partial.stat().st_mtime > _ABANDONED_S:
                partial.unlink()


def check_room(folder: Path, size: int, settings: Settings) -> None:
    """Raise `Refused` if a file is too large, or would not leave enough of the disk free."""
    if size > settings.upload_max_bytes:
        raise Refused(413, f"The file is larger than {settings.upload_max_bytes:,} bytes.")
    if shutil.disk_usage(folder).free - size < _LEFT_FREE:
        raise Refused(507, "The disk of the uploads is full.")


async def _write(path: Path, content: AsyncIterator[bytes], settings: Settings) -> str:
    digest = hashlib.sha256()
    done = 0
    with path.open("xb") as file:

        def flush(block: bytes) -> None:
            digest.update(block)
            file.write(block)

        block = bytearray()
        async for chunk in _without_pauses(content):
            block += chunk
            if len(block) >= _BLOCK:
                done += len(block)
                check_room(path.parent, 0, settings)
                if done > settings.upload_max_bytes:
                    raise Refused(413, f"larger than {settings.upload_max_bytes:,} bytes")
                await asyncio.to_thread(flush, bytes(block))
                block.clear()
        flush(bytes(block))
        if done + len(block) == 0:
            raise Refused(422, "The file has no bytes.")
        if done + len(block) > settings.upload_max_bytes:
            raise Refused(413, f"The file is larger than {settings.upload_max_bytes:,} bytes.")
    return digest.hexdigest()


async def _without_pauses(content: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    """The same chunks. Raises `Refused` if none comes for long, or the sender goes away."""
    chunks = aiter(content)
    while True:
        try:
            async with asyncio.timeout(_IDLE_S):
                chunk = await anext(chunks)
        except StopAsyncIteration:
            return
        except TimeoutError:
            raise Refused(408, f"Nothing came for {_IDLE_S:g} s; send the file again.") from None
        except ClientDisconnect:
            raise Refused(499, "The sender has gone away.") from None
        yield chunk


def _inspected(path: Path, settings: Settings) -> Inspected:
    """Decode the file to its end, in a worker process. Raises `Rejected`."""
    inspection = Inspection(settings.min_duration_s, settings.max_duration_s)
    return run_one(inspection, str(path))
