"""A zip or tar while it is read: the names of its members, its limits, and its expanded size.

Member paths are written as `nightscribe.uris.encode_path` does. A container may hold a path more
than once (a file can be added to a tar again). Then the first member keeps its path, `talk.wav`,
and the n-th gets the path `talk%00n.wav`, which no file can have.
"""

from __future__ import annotations

import lzma
import os
import struct
import tarfile
import zipfile
import zlib
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from typing import BinaryIO

from nightscribe.archives.entries import PassedOver, unsupported
from nightscribe.archives.kinds import Kind, kind_of, suffix_of
from nightscribe.archives.names import is_hidden, is_unsafe, unsafe_name
from nightscribe.errors import Reason, Rejected
from nightscribe.settings import ArchiveLimits
from nightscribe.storage import Place
from nightscribe.uris import encode_path

__all__ = ["DAMAGE", "Admitted", "Container", "ContainerRejected", "Entry", "damaged"]

DAMAGE = (
    zipfile.BadZipFile,
    tarfile.TarError,
    zlib.error,
    lzma.LZMAError,
    EOFError,
    ValueError,
    struct.error,
    NotImplementedError,
    OverflowError,
    RecursionError,
)
"""What the readers of zips, tars and compressed streams raise for damaged bytes.

gzip and bz2 also raise an OSError without an errno. An OSError with an errno is an error of the
disk.
"""


class ContainerRejected(Rejected):
    """Ends the reading of a container; a plain `Rejected` rejects one member."""


def damaged(error: BaseException) -> Rejected:
    """The rejection for damaged bytes."""
    return Rejected(Reason.CORRUPT_ARCHIVE, str(error) or type(error).__name__)


@dataclass(frozen=True, slots=True)
class Entry:
    """A member, by its name in the container. `open` returns its content or raises `Rejected`.

    `fault` says why the member cannot be read whatever its name is.
    """

    name: str
    is_folder: bool
    size_bytes: int
    version: str
    open: Callable[[], BinaryIO]
    fault: Rejected | None = None


@dataclass(frozen=True, slots=True)
class Admitted:
    """A member to read: its encoded path, its kind, and why its name cannot be used, if so."""

    member: str
    kind: Kind
    fault: Rejected | None


def _folder_with_bytes(entry: Entry) -> Rejected:
    return entry.fault or Rejected(
        Reason.UNSAFE_MEMBER_NAME,
        f"the name is that of a folder, but the entry has {entry.size_bytes} bytes; rename it",
    )


class Container:
    """A container while it is read.

    Args:
        raw: the open file, at its start
        wanted: member paths to read; None for all
        in_parts: see `opening.open_sources`
    """

    def __init__(
        self,
        place: Place,
        raw: BinaryIO,
        size_bytes: int,
        limits: ArchiveLimits,
        wanted: frozenset[str] | None,
        *,
        in_parts: bool = False,
    ) -> None:
        self.place = place
        self.raw = raw
        self.size_bytes = size_bytes
        self.limits = limits
        self.wanted = wanted
        self.in_parts = in_parts
        self._expanded = 0
        self._seen: Counter[str] = Counter()

    @property
    def descriptor(self) -> int | None:
        """The descriptor of a local file, from which members can be read in place; else None."""
        return self.raw.fileno() if self.place.filesystem is None else None

    def admit(self, entry: Entry, position: int) -> Admitted | PassedOver | None:
        """What becomes of the member at `position` (from 0).

        Hidden members and other kinds of files are passed over. None for a folder, and for a member
        that is not wanted.

        Raises:
            ContainerRejected: there are more members than the limit.
        """
        if position >= self.limits.max_members:
            raise self.too_many_members()
        # A folder's name may end with an audio suffix.
        looks_like_folder = entry.is_folder or entry.name.endswith("/")
        if looks_like_folder and entry.size_bytes == 0 and entry.fault is None:
            return None
        fault = _folder_with_bytes(entry) if looks_like_folder else entry.fault
        kind = kind_of(entry.name)
        if fault is not None:
            kind = Kind.UNSUPPORTED
        if kind is None:
            return PassedOver(self.place.uri, suffix_of(entry.name))
        name, unsafe = entry.name, is_unsafe(entry.name)
        if not unsafe:
            parts = [part for part in name.split("/") if part not in ("", ".")]
            if any(map(is_hidden, parts)):
                return PassedOver(self.place.uri, suffix_of(entry.name))
            name = "/".join(parts) or name
        member = self._unique(encode_path(name))
        if self.wanted is not None and member not in self.wanted:
            return None
        if unsafe:
            return Admitted(member, kind, unsafe_name())
        if fault is not None:
            return Admitted(member, kind, fault)
        if kind is Kind.CONTAINER:
            nested = Rejected(
                Reason.NESTED_ARCHIVE, "an archive inside an archive; unpack the outer"
            )
            return Admitted(member, kind, nested)
        if kind is Kind.UNSUPPORTED:
            return Admitted(member, kind, unsupported())
        return Admitted(member, kind, None)

    def _unique(self, member: str) -> str:
        """The member's path, with a number if an earlier member has the same path."""
        self._seen[member] += 1
        if (times := self._seen[member]) == 1:
            return member
        stem, suffix = os.path.splitext(member)
        return f"{stem}%00{times}{suffix}"

    def too_many_members(self) -> ContainerRejected:
        """The rejection of a container with more members than `max_members`."""
        return ContainerRejected(
            Reason.ARCHIVE_LIMIT, f"more than {self.limits.max_members} members"
        )

    def expand(self, count: int) -> None:
        """Add to the expanded size of the container, in bytes.

        Raises:
            ContainerRejected: the size exceeds the limit.
        """
        self._expanded += count
        if self._expanded > self.limits.max_expanded_bytes:
            raise ContainerRejected(
                Reason.ARCHIVE_LIMIT,
                f"the archive expands to more than {self.limits.max_expanded_bytes} bytes",
            )
