"""A recording is its encoded bytes: what names it, and how to get them back."""

from __future__ import annotations

import hashlib
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
    """SHA-256 of a file's bytes, in hexadecimal: the `recording_id`. Leaves the file at its start.

    Raises `Rejected` for a file without a byte.
    """
    digest = hashlib.sha256()
    size = 0
    while block := file.read(_READ_BYTES):
        digest.update(block)
        size += len(block)
    if size == 0:
        raise Rejected(Reason.EMPTY_FILE, "the file has no bytes")
    file.seek(0)
    return digest.hexdigest()


def difference_from(recording_id: str, file: BinaryIO | Rejection) -> str | None:
    """Why an opened source is not this recording's bytes; None if it is."""
    if isinstance(file, Rejection):
        return file.detail
    try:
        found = content_id(file)
    except Rejected as rejected:
        return rejected.detail
    except OSError as error:
        return str(error)
    return None if found == recording_id else "has other content than when it was ingested"


@contextmanager
def open_recording(lake: Lake, recording_id: str, limits: ArchiveLimits) -> Iterator[BinaryIO]:
    """The encoded bytes of a recording, from the first of its sources that still has them.

    The file is seekable, at its start, and open inside the `with` block.

    Raises:
        NightscribeError: the lake does not know the recording, or no source has its bytes; the
            message says what each source answered.
    """
    rows = read(
        lake,
        "SELECT archive, member FROM sources WHERE recording_id = $id ORDER BY archive, member",
        id=recording_id,
    ).to_pylist()
    if not rows:
        raise NightscribeError(f"the lake {lake.uri} has no recording {recording_id!r}")
    trouble = []
    for source, file in open_sources([(row["archive"], row["member"]) for row in rows], limits):
        difference = difference_from(recording_id, file)
        if difference is None:
            assert not isinstance(file, Rejection)
            yield file
            return
        trouble.append(f"{join_uri(*source)}: {difference}")
    raise NightscribeError(
        f"recording {recording_id} is at none of its sources any more: {'; '.join(trouble)}"
    )
