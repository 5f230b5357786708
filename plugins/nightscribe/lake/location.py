"""The location of a lake (a folder or an object-store prefix) and its files besides the tables."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from tempfile import NamedTemporaryFile
from typing import Any, BinaryIO, cast

import fsspec

from nightscribe.errors import ConfigurationError, explain_full_disk
from nightscribe.storage import locate
from nightscribe.whole_file import whole_file

__all__ = ["LakeLocation", "canonical_lake_uri"]


@dataclass(frozen=True)
class LakeLocation:
    """A folder or an object-store prefix.

    Attributes:
        uri: a local path or `s3://…`, as `canonical_lake_uri` returns it
        storage_options: of delta-rs, such as `aws_access_key_id`; empty if the credentials come
            from the cloud's own chain
    """

    uri: str
    storage_options: dict[str, str] = field(default_factory=dict, repr=False)

    @property
    def is_local(self) -> bool:
        """Whether the lake is a local folder."""
        return "://" not in self.uri

    @cached_property
    def filesystem(self) -> Any:
        """The fsspec file system of this lake."""
        if self.is_local:
            return fsspec.filesystem("file")
        if self.storage_options and self.uri.startswith("s3://"):
            return _s3(self.storage_options)
        return locate(self.uri).filesystem

    @cached_property
    def delta_options(self) -> dict[str, str] | None:
        """Options for delta-rs: `storage_options`, and permission for plain HTTP if needed."""
        options = dict(self.storage_options)
        endpoint = options.get("aws_endpoint_url", os.environ.get("AWS_ENDPOINT_URL", ""))
        if self.uri.startswith("s3://") and endpoint.startswith("http://"):
            # delta-rs refuses plain HTTP unless it is allowed explicitly.
            options["aws_allow_http"] = "true"
        return options or None

    def path(self, *parts: str) -> str:
        """URI of a path in the lake."""
        return "/".join([self.uri, *parts])

    def native_path(self, path: str) -> str:
        """A path in the lake, as `filesystem` takes it. Creates nothing."""
        native: str = self.filesystem._strip_protocol(self.path(path))
        return native

    def sizes(self, path: str) -> dict[str, int]:
        """File name → bytes, of a folder in the lake as it is now. Raises `OSError`."""
        return {name: int(info["size"] or 0) for name, info in self.listed(path).items()}

    def listed(self, path: str) -> dict[str, dict[str, Any]]:
        """File name → what fsspec says of it, as `sizes`. Raises `OSError`."""
        folder = self.native_path(path)
        self.filesystem.invalidate_cache(folder)
        infos: list[dict[str, Any]] = self.filesystem.ls(folder, detail=True)
        return {info["name"].rpartition("/")[2]: info for info in infos}

    def exists(self, path: str) -> bool:
        """Whether there is a file or a folder. Raises `OSError`.

        fsspec's own `exists` takes any failure of a local disk, and of some stores, for a "no".
        """
        native = self.native_path(path)
        self.filesystem.invalidate_cache(native)
        try:
            self.filesystem.info(native)
        except (FileNotFoundError, NotADirectoryError):
            return False
        return True

    def files_below(self, path: str) -> dict[str, dict[str, Any]]:
        """Native path → what fsspec says of it, of all files below a folder. Raises `OSError`.

        Empty if there is no folder. fsspec's own `find` leaves out folders that it cannot list.
        """
        filesystem, folders = self.filesystem, [self.native_path(path)]
        filesystem.invalidate_cache(folders[0])
        if not self.is_local:
            found: dict[str, dict[str, Any]] = filesystem.find(folders[0], detail=True)
            return found
        found = {}
        for folder in folders:
            with suppress(FileNotFoundError):
                for info in filesystem.ls(folder, detail=True):
                    if info["type"] == "directory":
                        folders.append(info["name"])
                    else:
                        found[info["name"]] = info
        return found

    def put_file(self, path: str, data: bytes) -> str:
        """Write a file, such as a report, into the lake; returns its URI.

        The file is replaced as a whole: readers see the old content or the new one.
        """
        with self.new_file(path) as file:
            file.write(data)
        return self.path(path)

    @contextmanager
    def new_file(self, path: str) -> Iterator[BinaryIO]:
        """Open a file to write, which replaces that at the path when the block ends without error.

        If the process dies, the file does not appear.
        """
        target = self.native_path(path)
        if self.is_local:
            Path(target).parent.mkdir(parents=True, exist_ok=True)
            with whole_file(Path(target)) as temporary, temporary.open("wb") as file:
                yield file
        else:
            # Closing a file of the object store completes it, also after an error.
            with explain_full_disk(), NamedTemporaryFile() as copy:
                yield cast(BinaryIO, copy)
                copy.flush()
                self.filesystem.put_file(copy.name, target)


def canonical_lake_uri(uri: str) -> str:
    """The canonical spelling of a lake's URI: an absolute path, or `scheme://…` without a last `/`.

    Raises:
        ConfigurationError: the URI has characters with a meaning in DuckDB or Delta Lake.

    >>> canonical_lake_uri("s3://bucket/lake/")
    's3://bucket/lake'
    """
    if any(character in uri for character in "*?[]{}"):
        raise ConfigurationError(
            f"lake {uri!r}: * ? [ ] {{ }} are patterns in DuckDB: choose a path without them"
        )
    if escape := re.search("%[0-9A-Fa-f]{2}", uri):
        raise ConfigurationError(
            f"lake {uri!r}: {escape[0]} is an escaped character in Delta Lake: choose another path"
        )
    if "://" in uri and not uri.startswith("file://"):
        return uri.rstrip("/")
    return str(Path(uri.removeprefix("file://")).expanduser().resolve())


def _s3(options: dict[str, str]) -> Any:
    return fsspec.filesystem(
        "s3",
        key=options.get("aws_access_key_id"),
        secret=options.get("aws_secret_access_key"),
        token=options.get("aws_session_token"),
        endpoint_url=options.get("aws_endpoint_url"),
        client_kwargs={"region_name": options["aws_region"]} if "aws_region" in options else {},
    )
