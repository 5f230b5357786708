"""Files and folders wherever they are: on the local disk or in an object store.

Credentials: `s3://conn_id@bucket/prefix` uses the Airflow connection `conn_id`, as
Airflow's ObjectStoragePath does. Without one, the cloud's own chain is asked: for S3 the
environment (`AWS_ACCESS_KEY_ID`, `AWS_PROFILE`, `AWS_ENDPOINT_URL` …), files, then roles.
"""

from __future__ import annotations

import os
import stat
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, BinaryIO, cast

from nightscribe.errors import ConfigurationError
from nightscribe.uris import canonical_uri, child_uri, decode_path

if TYPE_CHECKING:
    from fsspec import AbstractFileSystem
# Asked of an object store at a time: large against a round trip, small against memory. s3fs
# would take 50 MB.
_BLOCK_BYTES = 4 * 1024 * 1024


_EXTRAS = {"s3": "s3", "gs": "gcs"}


# Where file systems keep what changes when a file does, best first: S3 and GCS have an
# entity tag, others a time under one of several names.
_VERSION_KEYS = ("ETag", "etag", "mtime", "LastModified", "last_modified", "modified", "created")


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

    from nightscribe.credentials import connection_of

    # Asked for first: the Amazon provider falls back to the environment's credentials when
    # the connection is missing, which may be somebody else's.
    connection_of(connection, f"{scheme}://{connection}@{bucket}", f"leave `{connection}@` out")
    # Only the bucket: keys may hold characters that a URL parser would take for its own.
    return ObjectStoragePath(f"{scheme}://{connection}@{bucket}").fs
