"""Read the members of one zip, tar or compressed recording, in one pass from start to end."""

from __future__ import annotations

import errno
from collections.abc import Generator, Iterator

from nightscribe.archives.compressed import compressed_entries
from nightscribe.archives.container import (
    DAMAGE,
    Container,
    ContainerRejected,
    Entry,
    damaged,
)
from nightscribe.archives.entries import Member, PassedOver, Rejection, rejection, unreadable
from nightscribe.archives.kinds import compressed_name
from nightscribe.archives.tars import tar_entries
from nightscribe.archives.zips import zip_entries
from nightscribe.errors import Reason, Rejected
from nightscribe.settings import ArchiveLimits
from nightscribe.storage import Place, locate

__all__ = ["read_container", "read_members"]

Answer = tuple[str, Member | Rejection | PassedOver]
"""(member path, what becomes of it). The path is empty for the container itself, and for a member
that is passed over."""


def read_container(
    archive_uri: str, limits: ArchiveLimits
) -> Iterator[Member | Rejection | PassedOver]:
    """Read the recordings and manifests of a zip or tar, in the order of their bytes.

    Makes one pass from start to end, also over a compressed tar. `position` counts all members,
    including those that are not yielded. If the container itself is damaged, a rejection with its
    URI comes last; the members before the damage are yielded.
    """
    for _, answer in read_members(locate(archive_uri), limits, None):
        yield answer


def read_members(
    place: Place, limits: ArchiveLimits, wanted: frozenset[str] | None, *, in_parts: bool = False
) -> Generator[Answer, None, None]:
    """Like `read_container`, with member paths, and only for the paths in `wanted` if it is given.

    `in_parts` is that of `opening.open_sources`.

    Raises:
        OSError: the object store cannot be reached; a later attempt may succeed.
    """
    version = ""
    try:
        status = place.stat()
        version = status.version
        if status.size_bytes == 0:
            raise Rejected(Reason.EMPTY_FILE, "the file has no bytes")
        with place.open() as raw:
            container = Container(place, raw, status.size_bytes, limits, wanted, in_parts=in_parts)
            for position, entry in enumerate(_entries(container)):
                yield from _answers(container, entry, position)
        return
    except Rejected as error:
        fault = error
    except FileNotFoundError:
        fault = Rejected(Reason.CHANGED, "the container is no longer there")
    except OSError as error:
        if error.errno is None:
            fault = damaged(error)
        elif place.filesystem is None or isinstance(error, PermissionError):
            fault = unreadable("this container", error)
        else:
            raise
    except DAMAGE as error:
        cause = _disk_error(error)
        fault = damaged(error) if cause is None else unreadable("this container", cause)
    yield "", rejection(place.uri, "", version, fault)


def _entries(container: Container) -> Iterator[Entry]:
    path = container.place.path
    if path.lower().endswith(".zip"):
        return zip_entries(container)
    return (
        tar_entries(container) if compressed_name(path) is None else compressed_entries(container)
    )


def _disk_error(error: BaseException) -> OSError | None:
    """The error of the disk that `zipfile` reports as damage, if there is one."""
    cause = error.__context__
    # EINVAL comes from an offset that damaged bytes give.
    if isinstance(cause, OSError) and cause.errno not in (None, errno.EINVAL):
        return cause
    return None


def _answers(container: Container, entry: Entry, position: int) -> Iterator[Answer]:
    """The answer for one member, or nothing if it is not to be read. Closes its file afterwards."""
    admitted = container.admit(entry, position)
    if admitted is None:
        return
    if isinstance(admitted, PassedOver):
        if container.wanted is None:
            yield "", admitted
        return
    archive, member = container.place.uri, admitted.member
    try:
        if admitted.fault is not None:
            raise admitted.fault
        file = entry.open()
    except ContainerRejected:
        raise
    except Rejected as rejected:
        yield member, rejection(archive, member, entry.version, rejected)
        return
    with file:
        yield (
            member,
            Member(archive, member, position, entry.size_bytes, entry.version, admitted.kind, file),
        )
