"""A file system through which DuckDB can read an object store, and not write to it."""

from __future__ import annotations

from typing import Any

from fsspec import AbstractFileSystem

__all__ = ["ReadOnly"]


class ReadOnly(AbstractFileSystem):  # type: ignore[misc]
    """Another file system without its writes."""

    cachable = False

    def __init__(self, filesystem: Any) -> None:
        super().__init__()
        self._filesystem = filesystem
        self.protocol = filesystem.protocol

    def open(self, path: str, mode: str = "rb", **options: Any) -> Any:
        """Open a file for reading. Raises `PermissionError` for another mode."""
        if mode != "rb":
            raise PermissionError(f"{path}: queries only read")
        return self._filesystem.open(path, mode, **options)

    def info(self, path: str, **options: Any) -> Any:
        """Size, type and version of a file."""
        return self._filesystem.info(path, **options)

    def ls(self, path: str, detail: bool = True, **options: Any) -> Any:
        """The files of a prefix."""
        return self._filesystem.ls(path, detail=detail, **options)

    def glob(self, path: str, **options: Any) -> Any:
        """The files that match a pattern."""
        return self._filesystem.glob(path, **options)

    def exists(self, path: str, **options: Any) -> bool:
        """Whether a file exists."""
        return bool(self._filesystem.exists(path, **options))

    def modified(self, path: str) -> Any:
        """When a file was changed."""
        return self._filesystem.modified(path)

    def _strip_protocol(self, path: str) -> Any:
        return self._filesystem._strip_protocol(path)

    def unstrip_protocol(self, name: str) -> Any:
        """The URI of a path."""
        return self._filesystem.unstrip_protocol(name)

    def _refuse(self, path: Any, *_: Any, **__: Any) -> None:
        raise PermissionError(f"{path}: queries only read")

    mkdir = makedirs = rmdir = rm = rm_file = _rm = cp_file = mv = touch = pipe_file = _refuse
    put_file = _refuse
