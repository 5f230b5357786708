"""Fetch the audio at an http(s) URL, complete and within limits, or say what is wrong."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from http import HTTPStatus
from typing import TYPE_CHECKING, BinaryIO

from nightscribe.archives.spooling import CHUNK_BYTES, spool
from nightscribe.errors import Reason, Rejected
from nightscribe.progress import Progress
from nightscribe.settings import ArchiveLimits
from nightscribe.uris import shown_url

if TYPE_CHECKING:
    import httpx

__all__ = ["CONNECT_S", "MOST_REDIRECTS", "READ_S", "fetched", "too_large"]

CONNECT_S = 15.0
"""Longest wait for a connection, s."""

READ_S = 60.0
"""Longest wait for the next bytes, s."""

MOST_REDIRECTS = 10


def too_large(limits: ArchiveLimits) -> Rejected:
    """The error for an input that is larger than one recording may be."""
    return Rejected(
        Reason.ARCHIVE_LIMIT,
        f"it has more than {limits.max_member_bytes} bytes; raise "
        "NIGHTSCRIBE_ARCHIVE_MAX_MEMBER_BYTES if that is meant",
    )


@contextmanager
def fetched(url: str, limits: ArchiveLimits) -> Iterator[BinaryIO]:
    """The content at a URL as a seekable file, at its start; gone after the block.

    Redirects are followed to http(s) only. User and password of the URL are sent to its own host
    only.

    Raises:
        Rejected: the server cannot be reached, answers with an error or too slowly, or sends too
            much or less than it announced. The message has no secret of the URL.
        NightscribeError: the temporary folder is full.
    """
    import httpx

    try:
        copy = _fetch(url, limits)
    except httpx.InvalidURL:
        raise Rejected(Reason.UNREADABLE, "this is no valid URL") from None
    except httpx.TooManyRedirects:
        raise Rejected(Reason.UNREADABLE, f"more than {MOST_REDIRECTS} redirects") from None
    except httpx.UnsupportedProtocol:
        raise Rejected(
            Reason.UNREADABLE, "it redirects to something that is no http(s) URL"
        ) from None
    except httpx.ConnectTimeout:
        raise Rejected(Reason.UNREADABLE, f"no connection within {CONNECT_S:.0f} s") from None
    except httpx.TimeoutException:
        raise Rejected(Reason.UNREADABLE, f"no bytes for {READ_S:.0f} s") from None
    except httpx.RequestError as error:
        cause = str(error) or type(error).__name__
        raise Rejected(Reason.UNREADABLE, f"it could not be fetched: {cause}") from None
    with copy:
        yield copy


def _fetch(url: str, limits: ArchiveLimits) -> BinaryIO:
    import httpx

    # Its log lines have the URL with its password.
    logging.getLogger("httpx").setLevel(logging.WARNING)
    timeout = httpx.Timeout(READ_S, connect=CONNECT_S)
    # Counted bytes are those that are sent, so they must not be compressed on the way.
    headers = {"Accept-Encoding": "identity", "User-Agent": "nightscribe"}
    with (
        httpx.Client(
            timeout=timeout, headers=headers, follow_redirects=True, max_redirects=MOST_REDIRECTS
        ) as client,
        client.stream("GET", url) as answer,
    ):
        _check(answer)
        size = int(answer.headers.get("Content-Length") or 0)
        if size > limits.max_member_bytes:
            raise too_large(limits)
        body = _Body(answer, size, shown_url(url))
        with body.progress:
            try:
                copy = spool(body, size, limits)
            except Rejected:
                raise too_large(limits) from None
        if size and body.received != size:
            copy.close()
            raise Rejected(
                Reason.UNREADABLE,
                f"the connection ended after {body.received} of {size} bytes: try again",
            )
        return copy


def _check(answer: httpx.Response) -> None:
    """Raise `Rejected` unless the answer is the content itself, as it is."""
    place = shown_url(str(answer.url))
    if answer.status_code != HTTPStatus.OK:
        known = answer.status_code in list(HTTPStatus)
        phrase = f" {HTTPStatus(answer.status_code).phrase}" if known else ""
        raise Rejected(Reason.UNREADABLE, f"{place} answers HTTP {answer.status_code}{phrase}")
    encoding = answer.headers.get("Content-Encoding", "identity").lower()
    if encoding not in {"", "identity"}:
        raise Rejected(
            Reason.UNREADABLE,
            f"{place} sends the file compressed ({encoding}), though not asked to",
        )


class _Body:
    """The body of an answer, as a stream of bytes."""

    def __init__(self, answer: httpx.Response, size: int, name: str) -> None:
        self.received = 0
        self.progress = Progress(f"fetching {name}", 1, size / 1e6, "MB")
        self._size = size
        self._chunks = answer.iter_raw(CHUNK_BYTES)

    def read(self, size: int, /) -> bytes:
        """The next bytes, at most `CHUNK_BYTES`; empty at the end."""
        chunk = next(self._chunks, b"")
        self.received += len(chunk)
        self.progress.add(len(chunk) / 1e6, items=int(bool(chunk) and self.received == self._size))
        return chunk
