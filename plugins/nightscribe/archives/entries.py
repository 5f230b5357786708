"""The contents of an archive as data: listed files, members of containers, rejections."""

from __future__ import annotations

from dataclasses import dataclass
from typing import BinaryIO

from nightscribe.archives.kinds import Kind
from nightscribe.errors import Reason, Rejected
from nightscribe.uris import join_uri

__all__ = [
    "DiskFault",
    "File",
    "Member",
    "PassedOver",
    "Rejection",
    "rejection",
    "unreadable",
    "unsupported",
]


@dataclass(frozen=True, slots=True)
class File:
    """A listed file, which has not been opened.

    An audio file or manifest is a member of its collection. A container is an archive itself:
    `archive` is its URI and `member` is empty.
    """

    collection: str
    archive: str
    member: str
    kind: Kind
    size_bytes: int
    version: str

    @property
    def uri(self) -> str:
        """`archive!/member`; for a container, its own URI."""
        return join_uri(self.archive, self.member)


@dataclass(frozen=True, slots=True)
class Member:
    """A member of a container. `file` is seekable, and open until the next member is read."""

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
    """An input that cannot be used: the content of a row of `rejected`."""

    uri: str
    version: str
    reason: Reason
    detail: str
    again: bool = False  # the disk is at fault: another attempt may succeed


@dataclass(frozen=True, slots=True)
class PassedOver:
    """A file that is not read, since its name is hidden, or neither audio, container nor manifest.

    A hidden folder counts as one such file; it is not entered.
    """

    collection: str  # the collection's or container's URI
    suffix: str  # see `kinds.suffix_of`


def rejection(archive: str, member: str, version: str, rejected: Rejected) -> Rejection:
    """The rejection of a member; of the archive itself if `member` is empty."""
    uri, again = join_uri(archive, member), isinstance(rejected, DiskFault)
    return Rejection(uri, version, rejected.reason, rejected.detail, again)


def unsupported() -> Rejected:
    """The rejection for an archive, or a compressed file, of a kind that is not read."""
    return Rejected(
        Reason.UNSUPPORTED_ARCHIVE,
        "this kind of archive or compression is not read; unpack it, or pack it as zip or tar",
    )


class DiskFault(Rejected):
    """An input that could not be read, whatever its content is."""


def unreadable(what: str, error: Exception) -> DiskFault:
    """The rejection for a failed read; `what` names the thing, such as "this file"."""
    cause = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
    return DiskFault(Reason.UNREADABLE, f"{what} cannot be read: {cause or type(error).__name__}")
