"""Open many sources of many archives. Each archive is opened once and read in its own order."""

from __future__ import annotations

import os
import stat
from collections.abc import Generator, Iterator, Sequence
from contextlib import ExitStack, closing
from typing import BinaryIO, Protocol, cast

from nightscribe.archives.entries import Member, PassedOver, Rejection, rejection, unreadable
from nightscribe.archives.kinds import Kind, kind_of
from nightscribe.archives.names import is_unsafe, unsafe_name
from nightscribe.archives.reading import read_members
from nightscribe.archives.spooling import spool
from nightscribe.errors import Reason, Rejected
from nightscribe.settings import ArchiveLimits
from nightscribe.storage import Place, locate
from nightscribe.uris import decode_path

__all__ = ["open_sources"]


def open_sources(
    sources: Sequence[tuple[str, str]], limits: ArchiveLimits, *, in_parts: bool = False
) -> Generator[tuple[tuple[str, str], BinaryIO | Rejection], None, None]:
    """Open many sources, given as (archive URI, member path); yields each once, with its file.

    Sources come archive by archive. The members of a container come in its own order, so that it is
    opened once and a compressed tar is read once. A file is seekable, and open until the next is
    read. A source that no longer exists gives a rejection with the reason CHANGED.

    `in_parts` is for a reader who may want a few parts of a long file. Nothing is read or copied
    before it is wanted: a file in an object store is read where it lies, also in a zip or tar
    there; what is compressed is expanded up to the place that is read. So damage, and a size other
    than the stated one, is found by reading: `OSError`.
    """
    by_archive: dict[str, dict[str, None]] = {}
    for archive, member in sources:
        by_archive.setdefault(archive, {})[member] = None
    for archive, members in by_archive.items():
        place = locate(archive)
        if _is_container(place):
            yield from _open_members(archive, place, set(members), limits, in_parts)
        else:
            for member in members:
                answer = _open_file(archive, place, member, limits, in_parts)
                try:
                    yield (archive, member), answer
                finally:
                    if not isinstance(answer, Rejection):
                        answer.close()


def _is_container(place: Place) -> bool:
    if kind_of(place.path) is not Kind.CONTAINER:
        return False
    try:
        return not place.stat().is_folder
    except OSError:
        return True


def _open_members(
    archive: str, place: Place, missing: set[str], limits: ArchiveLimits, in_parts: bool
) -> Iterator[tuple[tuple[str, str], BinaryIO | Rejection]]:
    rest = Rejected(Reason.CHANGED, "the archive no longer holds this member")
    version = ""
    with closing(read_members(place, limits, frozenset(missing), in_parts=in_parts)) as answers:
        for member, answer in answers:
            if member and member in missing:
                missing.discard(member)
                assert not isinstance(answer, PassedOver)
                yield (archive, member), answer.file if isinstance(answer, Member) else answer
            elif isinstance(answer, Rejection):
                rest, version = Rejected(answer.reason, answer.detail), answer.version
            if not missing:
                return
    for member in sorted(missing):
        yield (archive, member), rejection(archive, member, version, rest)


def _open_file(
    archive: str, folder: Place, member: str, limits: ArchiveLimits, in_parts: bool
) -> BinaryIO | Rejection:
    place = folder.child(member)
    try:
        if not member or is_unsafe(decode_path(member)):
            raise unsafe_name()
        if place.filesystem is None:
            return _open_local_file(folder.path, place)
        return _open_object(place, limits, in_parts)
    except Rejected as rejected:
        return rejection(archive, member, "", rejected)
    except (FileNotFoundError, NotADirectoryError):
        changed = Rejected(Reason.CHANGED, "the file is no longer there")
        return rejection(archive, member, "", changed)
    except OSError as error:
        if place.filesystem is not None and not isinstance(error, PermissionError):
            # If the store cannot be reached, the file is not at fault: the caller may retry.
            raise
        return rejection(archive, member, "", unreadable("this file", error))


class _Sized(Protocol):
    size: int


def _open_object(place: Place, limits: ArchiveLimits, in_parts: bool) -> BinaryIO:
    with ExitStack() as stack:
        remote = stack.enter_context(place.open())
        # Opening the file has read its size; another request would be one more round trip.
        size_bytes = cast(_Sized, remote).size
        if size_bytes == 0:
            raise Rejected(Reason.EMPTY_FILE, "the file has no bytes")
        if not in_parts:
            return spool(remote, size_bytes, limits)
        stack.pop_all()
        return remote


def _open_local_file(folder: str, place: Place) -> BinaryIO:
    root = os.path.realpath(folder)
    if os.path.commonpath([root, os.path.realpath(place.path)]) != root:
        raise Rejected(Reason.LINK_MEMBER, "a link that leads outside the archive")
    status = os.stat(place.path)
    if not stat.S_ISREG(status.st_mode):
        # Opening a pipe would block.
        raise Rejected(Reason.LINK_MEMBER, "a folder, device, pipe or socket, not a file")
    if status.st_size == 0:
        raise Rejected(Reason.EMPTY_FILE, "the file has no bytes")
    return place.open()
