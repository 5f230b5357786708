"""URIs: what names a file or folder, wherever it lies, and how it is reached.

A local path may be written plainly (`/data/radio`, taken to the letter) or as a `file://`
URI (percent-decoded, as such URIs are). Everything else is `scheme://…` of a file system
that fsspec knows: `s3://bucket/prefix`, `gs://bucket/prefix`. Object keys are taken to the
letter, as the clouds' own tools do.

Credentials: `s3://conn_id@bucket/prefix` uses the Airflow connection `conn_id`, as
Airflow's ObjectStoragePath does. Without one, the cloud's own chain is asked: for S3 the
environment (`AWS_ACCESS_KEY_ID`, `AWS_PROFILE`, `AWS_ENDPOINT_URL` …), files, then roles.

Names as text: a file name on disk or in a tar is a sequence of bytes, and the lake holds
UTF-8. `encode_path` writes the bytes that are not UTF-8 as `%XX`, and a `%` that could be
mistaken for such an escape as `%25`; all else, spaces and accents included, stays as it is.
So standard percent-decoding always gives back the bytes, and two names never become one.
"""

from __future__ import annotations

import os
import re
import stat
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, BinaryIO, cast
from urllib.parse import unquote_to_bytes

from nightscribe.errors import ConfigurationError

if TYPE_CHECKING:
    from fsspec import AbstractFileSystem

_SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*)://")
# Asked of an object store at a time: large against a round trip, small against memory. s3fs
# would take 50 MB.
_BLOCK_BYTES = 4 * 1024 * 1024
_SAME_SCHEME = {"local": "file", "s3a": "s3", "gcs": "gs"}
_EXTRAS = {"s3": "s3", "gs": "gcs"}
_AMBIGUOUS = re.compile("%(?=[0-9A-Fa-f]{2})|[\x00\udc80-\udcff]")
# Where file systems keep what changes when a file does, best first: S3 and GCS have an
# entity tag, others a time under one of several names.
_VERSION_KEYS = ("ETag", "etag", "mtime", "LastModified", "last_modified", "modified", "created")


def encode_path(raw: str) -> str:
    """A path as Python has it (undecodable bytes as lone surrogates), as UTF-8 text."""
    return _AMBIGUOUS.sub(
        lambda found: "%25" if found[0] == "%" else f"%{ord(found[0]) & 0xFF:02X}", raw
    )


def decode_path(text: str) -> str:
    """The path that `encode_path` was given; also reads ordinary percent-encoding."""
    return unquote_to_bytes(text).decode("utf-8", "surrogateescape")


def canonical_uri(uri: str) -> str:
    """The one spelling of a URI or local path that the lake uses; without a trailing slash.

    Local paths become absolute `file://` URIs. Idempotent. Nothing is looked up.

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


def _file_uri(path: str) -> str:
    # abspath keeps the two leading slashes that POSIX allows.
    return "file://" + encode_path("/" + path.lstrip("/"))


def child_uri(folder: str, member: str) -> str:
    """URI of a member (as `encode_path` writes it) of a folder or prefix."""
    name = member if folder.startswith("file://") else decode_path(member)
    return f"{folder.rstrip('/')}/{name}"


@dataclass(frozen=True, slots=True)
class Stat:
    """What a file system says of a file without opening it."""

    size_bytes: int
    version: str
    is_folder: bool


@dataclass(frozen=True, slots=True)
class Place:
    """A file or folder that can be reached; `filesystem` is None on the local disk."""

    uri: str
    path: str
    filesystem: AbstractFileSystem | None

    def stat(self) -> Stat:
        """Size, version and kind. Raises OSError (FileNotFoundError …) as the store does."""
        if self.filesystem is None:
            return stat_of(os.stat(self.path))
        self.filesystem.invalidate_cache()
        return stat_of_info(self.filesystem.info(self.path))

    def open(self) -> BinaryIO:
        """The file, for reading. Raises OSError as the store does."""
        if self.filesystem is None:
            return open(self.path, "rb")
        file = self.filesystem.open(
            self.path, "rb", block_size=_BLOCK_BYTES, cache_type="readahead"
        )
        return cast(BinaryIO, file)

    def child(self, member: str) -> Place:
        """The place of a member (as `encode_path` writes it) of this folder or prefix."""
        path = f"{self.path.rstrip('/')}/{decode_path(member)}"
        return Place(child_uri(self.uri, member), path, self.filesystem)


def stat_of(status: os.stat_result) -> Stat:
    """`Stat` of a local file: its version is the modification time in nanoseconds."""
    return Stat(status.st_size, str(status.st_mtime_ns), stat.S_ISDIR(status.st_mode))


def stat_of_info(info: dict[str, Any]) -> Stat:
    """`Stat` of an fsspec listing entry: its version is the entity tag, else a time."""
    version = next((str(info[key]) for key in _VERSION_KEYS if info.get(key)), "")
    return Stat(int(info.get("size") or 0), version.strip('"'), info.get("type") == "directory")


def locate(uri: str) -> Place:
    """Find the file system of a URI and the path in it; opens nothing.

    Raises:
        ConfigurationError: unknown scheme, missing package, or missing Airflow connection.
    """
    uri = canonical_uri(uri)
    scheme, _, rest = uri.partition("://")
    if scheme == "file":
        return Place(uri, decode_path(rest), None)
    authority, slash, key = rest.partition("/")
    connection, _, bucket = authority.rpartition("@")
    try:
        if connection:
            filesystem = _with_connection(scheme, connection, bucket)
        else:
            import fsspec

            filesystem = fsspec.filesystem(scheme)
    except ImportError as error:
        extra = _EXTRAS.get(scheme)
        remedy = f"install Nightscribe's extra {extra!r}" if extra else "install that package"
        raise ConfigurationError(
            f"{uri}: {scheme}:// needs a package that is not installed ({error}): {remedy}"
        ) from error
    except (TypeError, ValueError) as error:
        raise ConfigurationError(
            f"{uri}: {scheme}:// cannot be used ({error}): give a local path, s3:// or gs://"
        ) from error
    path = filesystem._strip_protocol(f"{scheme}://{bucket}{slash}{key}")
    return Place(uri, path, filesystem)


def _with_connection(scheme: str, connection: str, bucket: str) -> AbstractFileSystem:
    from airflow.sdk import ObjectStoragePath

    from nightscribe.airflow.connections import connection_of

    # Asked for first: the Amazon provider falls back to the environment's credentials when
    # the connection is missing, which may be somebody else's.
    connection_of(connection, f"{scheme}://{connection}@{bucket}", f"leave `{connection}@` out")
    # Only the bucket: keys may hold characters that a URL parser would take for its own.
    return ObjectStoragePath(f"{scheme}://{connection}@{bucket}").fs
