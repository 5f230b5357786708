"""URIs of files, folders and members of archives.

A local path is written plainly (`/data/radio`, taken literally) or as a `file://` URI, which is
percent-decoded. All other URIs are `scheme://…` of a file system that fsspec knows, such as
`s3://bucket/prefix` or `gs://bucket/prefix`. Object keys are taken literally, as in the clouds' own
tools.

A file name on disk or in a tar is a sequence of bytes, but the lake stores UTF-8. `encode_path`
writes bytes that are not UTF-8 as `%XX`, and a `%` that looks like such an escape as `%25`. All
other characters, such as spaces and accents, stay. So percent-decoding always restores the bytes,
and different names stay different.

The place of a recording is (archive URI, member path), or `archive!/member` as one string. Only
this module joins and splits that string.
"""

from __future__ import annotations

import os
import re
from urllib.parse import unquote_to_bytes

from nightscribe.errors import ConfigurationError

__all__ = [
    "canonical_uri",
    "child_uri",
    "decode_path",
    "encode_path",
    "is_web_url",
    "join_uri",
    "places_of",
    "refuse_web_url",
    "shown_url",
    "split_uri",
]

_SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*)://")
_WEB_URL = re.compile("https?://", re.IGNORECASE)
_SAME_SCHEME = {"local": "file", "s3a": "s3", "gcs": "gs"}
_AMBIGUOUS = re.compile("%(?=[0-9A-Fa-f]{2})|[\x00\udc80-\udcff]")

_SEPARATOR = "!/"
# A folder may be called `Wow!`. In an archive's URI, `!/` is escaped as `%21/`. A text that already
# looks like this escape gets another `%25`, so that `split_uri` restores it.
_ESCAPED_SEPARATOR = "%21/"
_LOOKS_ESCAPED = re.compile(r"%(?=(?:25)*21/)")
_ESCAPED_TWICE = re.compile(r"%25(?=(?:25)*21/)")


def join_uri(archive: str, member: str) -> str:
    """`archive!/member`, or the archive itself without a member. `split_uri` is the inverse.

    >>> join_uri("file:///radio", "2024/talk.wav")
    'file:///radio!/2024/talk.wav'
    >>> join_uri("file:///Wow!/radio", "talk.wav")
    'file:///Wow%21/radio!/talk.wav'
    """
    escaped = _LOOKS_ESCAPED.sub("%25", archive).replace(_SEPARATOR, _ESCAPED_SEPARATOR)
    return f"{escaped}{_SEPARATOR}{member}" if member else escaped


def split_uri(uri: str) -> tuple[str, str]:
    """Split the result of `join_uri` into (archive URI, member path); the member may be empty.

    >>> split_uri("file:///Wow%21/radio!/talk.wav")
    ('file:///Wow!/radio', 'talk.wav')
    """
    archive, _, member = uri.partition(_SEPARATOR)
    unescaped = archive.replace(_ESCAPED_SEPARATOR, _SEPARATOR)
    return _ESCAPED_TWICE.sub("%", unescaped), member


def encode_path(raw: str) -> str:
    """Encode a path, in which Python has undecodable bytes as lone surrogates, as UTF-8 text."""
    return _AMBIGUOUS.sub(
        lambda found: "%25" if found[0] == "%" else f"%{ord(found[0]) & 0xFF:02X}", raw
    )


def decode_path(text: str) -> str:
    """Decode the result of `encode_path`, or any other percent-encoding."""
    return unquote_to_bytes(text).decode("utf-8", "surrogateescape")


def canonical_uri(uri: str) -> str:
    """The canonical spelling of a URI or local path, as in the lake: without a trailing slash.

    Local paths become absolute `file://` URIs. Idempotent. Does not access the file.

    Raises:
        ConfigurationError: an empty URI, or a `file://` URI with a host.
    """
    if not uri or "\0" in uri:
        raise ConfigurationError(f"archive {uri!r} is not a URI or path: name a folder or file")
    if (found := _SCHEME.match(uri)) is None:
        return _file_uri(os.path.abspath(os.path.expanduser(uri)))
    scheme = found[1].lower()
    scheme = _SAME_SCHEME.get(scheme, scheme)
    rest = uri[found.end() :]
    if scheme != "file":
        return f"{scheme}://{rest.rstrip('/')}"
    path = rest.removeprefix("localhost")
    if not path.startswith("/"):
        raise ConfigurationError(
            f"{uri!r} names a host: write file:///absolute/path, with three slashes"
        )
    return _file_uri(os.path.abspath(decode_path(path)))


def shown_url(url: str) -> str:
    """An http(s) URL for messages: without user, password, query and fragment, where secrets are.

    >>> shown_url("https://me:secret@host:8000/a/talk.mp3?signature=1f")
    'https://host:8000/a/talk.mp3?…'
    """
    scheme, _, rest = url.partition("://")
    place, query = re.match(r"([^?#]*)(\??)", rest).groups()  # type: ignore[union-attr]
    authority, slash, path = place.partition("/")
    return f"{scheme}://{authority.rpartition('@')[2]}{slash}{path}{'?…' if query else ''}"


def is_web_url(name: str) -> bool:
    """Whether a name is an http(s) URL."""
    return _WEB_URL.match(name) is not None


def refuse_web_url(uri: str) -> None:
    """Raise `ConfigurationError` if an archive is given as an http(s) URL."""
    if is_web_url(uri):
        raise ConfigurationError(
            f"{shown_url(uri)}: URLs are only for `nightscribe transcribe`; an archive is a "
            "folder, a zip, a tar, a file, s3://… or gs://…"
        )


def _file_uri(path: str) -> str:
    # abspath keeps the two leading slashes that POSIX allows.
    return "file://" + encode_path("/" + path.lstrip("/"))


def child_uri(folder: str, member: str) -> str:
    """URI of a member (as `encode_path` writes it) of a folder or prefix.

    >>> child_uri("file:///radio", "2024/talk.wav")
    'file:///radio/2024/talk.wav'
    """
    name = member if folder.startswith("file://") else decode_path(member)
    # Only the root of a file system, `file:///`, ends with a slash.
    return f"{folder.removesuffix('/')}/{name}"


def places_of(uri: str) -> list[tuple[str, str]]:
    """All (folder, member) for which `child_uri` gives this URI, the nearest folder first.

    >>> places_of("s3://bucket/radio/talk.wav")
    [('s3://bucket/radio', 'talk.wav'), ('s3://bucket', 'radio/talk.wav')]
    """
    scheme, _, path = uri.partition("://")
    parts = path.split("/")
    places = []
    for count in range(len(parts) - 1, 0, -1):
        folder, member = "/".join(parts[:count]), "/".join(parts[count:])
        if scheme != "file":
            places.append((f"{scheme}://{folder}", encode_path(member)))
        else:
            places.append((f"file://{folder or '/'}", member))
    return places
