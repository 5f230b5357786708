"""What an archive holds, as data: a file of a listing, a member of a container, a rejection."""

from __future__ import annotations

from dataclasses import dataclass
from typing import BinaryIO

from nightscribe.archives.kinds import Kind
from nightscribe.errors import Reason, Rejected
from nightscribe.uris import join_uri

__all__ = ["File", "Member", "Rejection", "rejection", "unreadable"]


@dataclass(frozen=True, slots=True)
class File:
    """A file that a listing found. It is not opened yet.

    An audio file or manifest is a member of the collection's folder. A container is an
    archive of its own: `archive` is its URI and `member` is empty.
    """

    collection: str
    archive: str
    member: str
    kind: Kind
    size_bytes: int
    version: str

    @property
    def uri(self) -> str:
        """`archive!/member`, or the archive's URI for a container."""
        return join_uri(self.archive, self.member)


@dataclass(frozen=True, slots=True)
class Member:
    """A member of a container; `file` is seekable and open until the next member is asked for."""

    archive: str
    member: str
    position: int
    size_bytes: int
    version: str
    kind: Kind
    file: BinaryIO

    @property
    def uri(self) -> str:
        """`archive!/member`."""
        return join_uri(self.archive, self.member)


@dataclass(frozen=True, slots=True)
class Rejection:
    """An input that cannot be used: a row of the `rejected` table, as data."""

    uri: str
    version: str
    reason: Reason
    detail: str


def rejection(archive: str, member: str, version: str, rejected: Rejected) -> Rejection:
    """The rejection of a member, or of the archive itself where `member` is empty."""
    return Rejection(join_uri(archive, member), version, rejected.reason, rejected.detail)


def unreadable(what: str, error: Exception) -> Rejected:
    """The outcome of a read that failed; `what` says what could not be read."""
    cause = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
    return Rejected(Reason.UNREADABLE, f"{what} cannot be read: {cause or type(error).__name__}")
