"""A zip or tar that is being read: its members' names, its limits, and what it has expanded to.

Member paths are written as `nightscribe.uris.encode_path` does. When a container holds a name
twice (tar lets a file be added again), no content is lost: the first keeps its name, `talk.wav`,
and the n-th is called `talk%00n.wav`, which no file can be called.
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

from nightscribe.archives.kinds import Kind, kind_of
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
"""What the readers of zip, tar and compressed streams raise over damaged bytes. Damage also
shows as an OSError without an errno (gzip, bz2); one with an errno is the disk's."""


class ContainerRejected(Rejected):
    """Ends the reading of a container, where `Rejected` sets one member aside."""


def damaged(error: BaseException) -> Rejected:
    """The outcome for bytes that a reader cannot make sense of."""
    return Rejected(Reason.CORRUPT_ARCHIVE, str(error) or type(error).__name__)


@dataclass(frozen=True, slots=True)
class Entry:
    """A member as its container names it. `open` gives its content, or raises `Rejected`."""

    name: str
    is_folder: bool
    size_bytes: int
    version: str
    open: Callable[[], BinaryIO]


@dataclass(frozen=True, slots=True)
class Admitted:
    """A member of interest: its path in our spelling, its kind, and what is wrong with its name."""

    member: str
    kind: Kind
    fault: Rejected | None


class Container:
    """A container that is being read; `wanted` are the member paths of interest, None for all."""

    def __init__(
        self,
        place: Place,
        raw: BinaryIO,
        size_bytes: int,
        limits: ArchiveLimits,
        wanted: frozenset[str] | None,
    ) -> None:
        self.place = place
        self.raw = raw
        self.size_bytes = size_bytes
        self.limits = limits
        self._wanted = wanted
        self._expanded = 0
        self._seen: Counter[str] = Counter()

    @property
    def descriptor(self) -> int | None:
        """The open file's descriptor, if members can be read in place."""
        return self.raw.fileno() if self.place.filesystem is None else None

    def admit(self, entry: Entry, position: int) -> Admitted | None:
        """Decide about the member at `position` (from 0); None if it is of no interest.

        Raises `ContainerRejected` if there are more members than allowed.
        """
        if position >= self.limits.max_members:
            raise self.too_many_members()
        kind = kind_of(entry.name)
        # A folder's name may end like a recording's.
        if entry.is_folder or kind is None:
            return None
        name, unsafe = entry.name, is_unsafe(entry.name)
        if not unsafe:
            parts = [part for part in name.split("/") if part not in ("", ".")]
            if any(map(is_hidden, parts)):
                return None
            name = "/".join(parts)
        member = self._unique(encode_path(name))
        if self._wanted is not None and member not in self._wanted:
            return None
        if unsafe:
            return Admitted(member, kind, unsafe_name())
        if kind is Kind.CONTAINER:
            nested = Rejected(Reason.NESTED_ARCHIVE, "an archive inside an archive; unpack it once")
            return Admitted(member, kind, nested)
        return Admitted(member, kind, None)

    def _unique(self, member: str) -> str:
        """The member's path, with a number where the container holds the path again."""
        self._seen[member] += 1
        if (times := self._seen[member]) == 1:
            return member
        stem, suffix = os.path.splitext(member)
        return f"{stem}%00{times}{suffix}"

    def too_many_members(self) -> ContainerRejected:
        """The outcome for a container with more members than `max_members`."""
        return ContainerRejected(
            Reason.ARCHIVE_LIMIT, f"more than {self.limits.max_members} members"
        )

    def expand(self, count: int) -> None:
        """Account for bytes that came out of the container.

        Raises `ContainerRejected` if they are more than allowed.
        """
        self._expanded += count
        if self._expanded > self.limits.max_expanded_bytes:
            raise ContainerRejected(
                Reason.ARCHIVE_LIMIT,
                f"the archive expands to more than {self.limits.max_expanded_bytes} bytes",
            )
