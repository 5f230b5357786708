"""Recordings: identified by their encoded bytes, and opened from any source that has them."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import BinaryIO

from nightscribe.archives.entries import Rejection
from nightscribe.archives.opening import open_sources
from nightscribe.errors import NightscribeError, Reason, Rejected
from nightscribe.lake.reading import read
from nightscribe.lake.tables import Lake
from nightscribe.settings import ArchiveLimits
from nightscribe.uris import join_uri

__all__ = ["content_id", "difference_from", "open_recording"]

_READ_BYTES = 1 << 20


def content_id(file: BinaryIO) -> str:
    """The `recording_id` of a file: SHA-256 of its bytes, hexadecimal. Rewinds the file.

    Raises:
        Rejected: the file is empty, or changes while it is read.

    >>> import io
    >>> content_id(io.BytesIO(b"abc"))[:8]
    'ba7816bf'
    """
    digest = hashlib.sha256()
    size = 0
    while block := file.read(_READ_BYTES):
        digest.update(block)
        size += len(block)
    if size == 0:
        raise Rejected(Reason.EMPTY_FILE, "the file has no bytes")
    if size != (now := file.seek(0, os.SEEK_END)):
        detail = f"the file changed while it was read: {now} bytes, of which {size} were read"
        raise Rejected(Reason.CHANGED, detail)
    file.seek(0)
    return digest.hexdigest()


def difference_from(recording_id: str, file: BinaryIO | Rejection) -> str | None:
    """Why an opened source does not have the bytes of a recording; None if it has them."""
    if isinstance(file, Rejection):
        return file.detail
    try:
        found = content_id(file)
    except Rejected as rejected:
        return rejected.detail
    except OSError as error:
        return str(error)
    return None if found == recording_id else "its content has changed since it was ingested"


@contextmanager
def open_recording(lake: Lake, recording_id: str, limits: ArchiveLimits) -> Iterator[BinaryIO]:
    """Open the encoded bytes of a recording, from the first source that still has them.

    The file is seekable, at its start, and open inside the `with` block.

    Raises:
        NightscribeError: the lake does not know the recording, or no source has its bytes; the
            message has the reason for each source.
    """
    rows = read(
        lake,
        "SELECT archive, member FROM sources WHERE recording_id = $id ORDER BY archive, member",
        id=recording_id,
    ).to_pylist()
    if not rows:
        raise NightscribeError(f"the lake {lake.uri} has no recording {recording_id!r}")
    failures = []
    for source, file in open_sources([(row["archive"], row["member"]) for row in rows], limits):
        difference = difference_from(recording_id, file)
        if difference is None:
            assert not isinstance(file, Rejection)
            yield file
            return
        failures.append(f"{join_uri(*source)}: {difference}")
    raise NightscribeError(
        f"no source of recording {recording_id} has its content any more: {'; '.join(failures)}"
    )
