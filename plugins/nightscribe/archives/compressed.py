"""One compressed recording, such as `talk.wav.gz`, as a container with one member."""

from __future__ import annotations

import functools
from collections.abc import Iterator
from typing import BinaryIO

from nightscribe.archives.compression import decompress
from nightscribe.archives.container import Container, ContainerRejected, Entry
from nightscribe.archives.kinds import compressed_name
from nightscribe.archives.spooling import spool
from nightscribe.errors import Reason

__all__ = ["compressed_entries"]


def compressed_entries(container: Container) -> Iterator[Entry]:
    """The recording in a compressed file. Its name is that of the file without the last suffix.

    Opening it raises `Rejected` for a limit, and the exceptions of `compression.decompress`.
    """
    name = compressed_name(container.place.path)
    assert name is not None
    yield Entry(
        name=name,
        is_folder=False,
        size_bytes=container.size_bytes,
        version="",
        open=functools.partial(_open, container),
    )


def _open(container: Container) -> BinaryIO:
    source = decompress(container.raw, container.size_bytes)
    if source is None:
        raise ContainerRejected(
            Reason.CORRUPT_ARCHIVE,
            "is not compressed as its name says, or damaged at its beginning; rename it if it is "
            "a recording",
        )
    ceiling = int(container.limits.max_ratio * container.size_bytes)
    return spool(
        source,
        container.size_bytes,
        container.limits,
        account=container.expand,
        ceiling=ceiling,
    )
