"""A disk that fails: reads, opens, stats and listings of chosen files go wrong.

The faults are below Python's file objects, in this process and in decoder processes, which load
this file by its path when they start. So it imports nothing but the standard library.
"""

from __future__ import annotations

import errno
import io
import json
import os
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

FILE_FAULTS = ("read", "sector", "end", "short", "slow", "open", "stat", "type", "gone", "moved")
"""Kinds of faults of a file.

`read`: EIO on a read; `sector`: EIO at one place of the file; `end`: a read finds the end of the
file too early; `short`: reads give fewer bytes than asked for, which is no error; `slow`: reads
take their time; `open`: EACCES; `stat`: EIO; `type`: EIO where a listing does not tell what the
file is; `gone`: the file is moved away once its folder is listed; `moved`: once it is to be opened.
Of folders: `list`: EIO in the listing.
"""


@dataclass(frozen=True)
class Fault:
    """What goes wrong with a file or folder."""

    kind: str
    after: int = 0  # bytes that are read well before, in all passes; of a sector, its position
    once: bool = False  # it goes well the next time


class FaultyDisk:
    """The faults of a night, by inode number."""

    def __init__(self, faults: Mapping[int, Fault], away: Path | None = None) -> None:
        self.faults = faults
        self.away = away  # a folder for files that disappear
        self.moved: dict[str, Path] = {}
        self._done: Counter[int] = Counter()  # bytes
        self._failed: set[int] = set()

    def read(self, inode: int, position: int, count: int, read: Callable[[int], Any]) -> Any:
        """Read up to `count` bytes; `read` gives them, for a number of bytes."""
        fault = self.faults.get(inode)
        if fault is None or (fault.once and inode in self._failed):
            return read(count)
        if fault.kind == "slow":
            time.sleep(0.002)
        elif fault.kind == "short":
            count = max(1, count // 3)
        elif fault.kind == "sector" and position <= fault.after < position + count:
            if position == fault.after:
                self._failed.add(inode)
                raise OSError(errno.EIO, os.strerror(errno.EIO))
            count = fault.after - position
        elif fault.kind in ("read", "end"):
            if self._done[inode] >= fault.after:
                self._failed.add(inode)
                if fault.kind == "read":
                    raise OSError(errno.EIO, os.strerror(errno.EIO))
                return read(0)
            count = min(count, fault.after - self._done[inode])
        found = read(count)
        self._done[inode] += found if isinstance(found, int) else len(found)
        return found

    def fail(self, path: str, inode: int, kind: str) -> None:
        """Raise the error that a file has if it has a fault of this kind, or move it away."""
        fault = self.faults.get(inode)
        if fault is None or fault.kind != kind:
            return
        if kind in ("gone", "moved"):
            assert self.away is not None
            self.moved[path] = self.away / str(inode)
            os.rename(path, self.moved[path])
        else:
            number = errno.EACCES if kind == "open" else errno.EIO
            raise OSError(number, os.strerror(number), path)

    def put_back(self) -> None:
        """Return the files that have disappeared."""
        for path, away in self.moved.items():
            os.rename(away, path)
        self.moved.clear()


@dataclass(frozen=True)
class _Entry:
    """An entry of a listing, as `os.DirEntry`."""

    entry: os.DirEntry[str]
    disk: FaultyDisk

    @property
    def name(self) -> str:
        return self.entry.name

    @property
    def path(self) -> str:
        return self.entry.path

    def is_symlink(self) -> bool:
        return self.entry.is_symlink()

    def is_dir(self, *, follow_symlinks: bool = True) -> bool:
        self.disk.fail(self.path, self.entry.inode(), "type")
        return self.entry.is_dir(follow_symlinks=follow_symlinks)

    def stat(self) -> os.stat_result:
        self.disk.fail(self.path, self.entry.inode(), "stat")
        return self.entry.stat()


def fail_reads(disk: FaultyDisk) -> None:
    """Let reads at a position fail, as of files that a decoder process reads in place."""
    pread = os.pread

    def faulty_pread(descriptor: int, count: int, position: int) -> bytes:
        inode = os.fstat(descriptor).st_ino
        data: bytes = disk.read(inode, position, count, lambda n: pread(descriptor, n, position))
        return data

    os.pread = faulty_pread


@contextmanager
def failing(
    root: Path, disk: FaultyDisk, library_file: type[io.FileIO], folder: Path
) -> Iterator[type[io.FileIO]]:
    """Let the disk fail below `root`; yields a `library_file` whose reads fail.

    Decoder processes that start meanwhile find the faults in `folder`, if that is on their path.
    """
    pread, scandir, stat = os.pread, os.scandir, os.stat
    below = f"{root}/"

    class File(io.FileIO):
        def readinto(self, buffer: Any) -> int:
            view, inode = memoryview(buffer), os.fstat(self.fileno()).st_ino

            def read(count: int) -> int:
                return io.FileIO.readinto(self, view[:count]) if count else 0

            found: int = disk.read(inode, self.tell(), len(view), read)
            return found

        def readall(self) -> bytes:
            buffer = bytearray(4096)
            parts = iter(lambda: bytes(buffer[: File.readinto(self, buffer)]), b"")
            return b"".join(parts)

    class LibraryFile(library_file, File):  # type: ignore[misc, valid-type]
        def __init__(self, path: str) -> None:
            disk.fail(path, stat(path).st_ino, "moved")
            disk.fail(path, stat(path).st_ino, "open")
            super().__init__(path)

    def faulty_scandir(path: Any) -> Any:
        ours = isinstance(path, str) and path.startswith(below)
        return listed(path) if ours else scandir(path)

    @contextmanager
    def listed(path: str) -> Iterator[list[_Entry]]:
        disk.fail(path, stat(path).st_ino, "list")
        with scandir(path) as listing:
            entries = [_Entry(entry, disk) for entry in listing]
        for entry in entries:
            disk.fail(entry.path, entry.entry.inode(), "gone")
        yield entries

    def faulty_stat(path: Any, *arguments: Any, **options: Any) -> os.stat_result:
        found = stat(path, *arguments, **options)
        if isinstance(path, str) and path.startswith(below):
            disk.fail(path, found.st_ino, "stat")
        return found

    folder.mkdir(exist_ok=True)
    faults = json.dumps({inode: asdict(fault) for inode, fault in disk.faults.items()})
    (folder / "sitecustomize.py").write_text(_IN_A_DECODER.format(path=__file__, faults=faults))
    fail_reads(disk)
    os.scandir, os.stat = faulty_scandir, faulty_stat
    try:
        yield LibraryFile
    finally:
        os.pread, os.scandir, os.stat = pread, scandir, stat
        (folder / "sitecustomize.py").unlink()
        disk.put_back()


_IN_A_DECODER = """
import importlib.util, json, sys

spec = importlib.util.spec_from_file_location("faulty_disk", {path!r})
module = importlib.util.module_from_spec(spec)
sys.modules["faulty_disk"] = module
spec.loader.exec_module(module)
faults = json.loads({faults!r})
faults = {{int(inode): module.Fault(**fault) for inode, fault in faults.items()}}
module.fail_reads(module.FaultyDisk(faults))
"""
