"""Files and folders on the local disk and in object stores, behind one interface.

Credentials: `s3://conn_id@bucket/prefix` uses the Airflow connection `conn_id`, as Airflow's
ObjectStoragePath does. Without a connection, the cloud's own chain applies. For S3 that is the
environment (`AWS_ACCESS_KEY_ID`, `AWS_PROFILE`, `AWS_ENDPOINT_URL` …), then files, then roles.
"""

from __future__ import annotations

import io
import os
import stat
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, BinaryIO, cast

from nightscribe.errors import ConfigurationError
from nightscribe.file_slice import ends_early
from nightscribe.uris import canonical_uri, child_uri, decode_path

if TYPE_CHECKING:
    from fsspec import AbstractFileSystem

__all__ = ["LocalFile", "Place", "Stat", "locate", "stat_of", "stat_of_info"]

# Bytes per request to an object store: transfer takes longer than the round trip, and memory stays
# small. The default of s3fs is 50 MB.
_BLOCK_BYTES = 4 * 1024 * 1024

_EXTRAS = {"s3": "s3", "gs": "gcs"}
"""Scheme → Nightscribe's extra that installs its file system."""

# Keys of an fsspec listing entry whose value changes when the file changes, the best first: S3 and
# GCS have an entity tag, other stores a time.
_VERSION_KEYS = ("ETag", "etag", "mtime", "LastModified", "last_modified", "modified", "created")


@dataclass(frozen=True, slots=True)
class Stat:
    """Properties of a file or folder that a file system gives without opening it."""

    size_bytes: int
    version: str  # changes when the file changes
    is_folder: bool


class LocalFile(io.FileIO):
    """A file on the local disk, open for reading. Reading raises `OSError` before its size ends.

    A network file system may find the end of a file too early. Without this, the file would pass
    for a shorter one, and a zip or tar for a damaged one.
    """

    def __init__(self, path: str) -> None:
        super().__init__(path)
        self._size = os.fstat(self.fileno()).st_size

    def readinto(self, buffer: Any) -> int:
        count = super().readinto(buffer)
        if not count and len(buffer) and self.tell() < self._size:
            raise ends_early(self.tell(), self._size)
        return count or 0

    def readall(self) -> bytes:
        data = super().readall()
        if self.tell() < self._size:
            raise ends_early(self.tell(), self._size)
        return data


@dataclass(frozen=True, slots=True)
class Place:
    """A file or folder and its file system, which is None for the local disk."""

    uri: str
    path: str
    filesystem: AbstractFileSystem | None

    def stat(self) -> Stat:
        """Size, version and kind. Raises the `OSError` of the store, such as FileNotFoundError."""
        if self.filesystem is None:
            return stat_of(os.stat(self.path))
        self.filesystem.invalidate_cache()
        return stat_of_info(self.filesystem.info(self.path))

    def open(self) -> BinaryIO:
        """Open the file for reading. Raises the `OSError` of the store."""
        if self.filesystem is None:
            return cast(BinaryIO, io.BufferedReader(LocalFile(self.path)))
        file = self.filesystem.open(
            self.path, "rb", block_size=_BLOCK_BYTES, cache_type="readahead"
        )
        return cast(BinaryIO, file)

    def child(self, member: str) -> Place:
        """A member of this folder or prefix; `member` is written as `encode_path` does."""
        path = f"{self.path.rstrip('/')}/{decode_path(member)}"
        return Place(child_uri(self.uri, member), path, self.filesystem)


def stat_of(status: os.stat_result) -> Stat:
    """`Stat` of a local file. Its version is the modification time in nanoseconds."""
    return Stat(status.st_size, str(status.st_mtime_ns), stat.S_ISDIR(status.st_mode))


def stat_of_info(info: dict[str, Any]) -> Stat:
    """`Stat` of an fsspec listing entry. Its version is the entity tag, else a time."""
    version = next((str(info[key]) for key in _VERSION_KEYS if info.get(key)), "")
    return Stat(int(info.get("size") or 0), version.strip('"'), info.get("type") == "directory")


def locate(uri: str) -> Place:
    """Find the file system of a URI and the path in it. Does not access the file.

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
        remedy = f"install Nightscribe's extra {extra!r}" if extra else "install the package"
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

    from nightscribe.credentials import connection_of

    # Checked first: if the connection is missing, the Amazon provider silently uses the
    # credentials of the environment, which may belong to somebody else.
    connection_of(connection, f"{scheme}://{connection}@{bucket}", f"leave `{connection}@` out")
    # Only the bucket: keys may contain characters that have a meaning in URLs.
    return ObjectStoragePath(f"{scheme}://{connection}@{bucket}").fs
