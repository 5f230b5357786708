"""Failures of the surroundings (disk, network, permissions, memory) → sentences for people.

The libraries report the same failure in different ways: a full disk is an `OSError` of Python, a
text of delta-rs, an `IOException` of DuckDB. `fault_of` is the one place that knows these ways.
"""

from __future__ import annotations

import errno
import os
import re
import shutil
import sys
import tempfile
from collections.abc import Iterable
from typing import cast

from nightscribe.errors import NightscribeError

__all__ = ["fault_of", "is_fault", "is_nameless", "one_line", "reason_of"]

_LIBRARIES = (
    ("deltalake.exceptions", ("DeltaError",)),
    (
        "duckdb",
        (
            "FatalException",
            "HTTPException",
            "InvalidInputException",
            "IOException",
            "OutOfMemoryException",
            "SerializationException",
        ),
    ),
    ("pyarrow", ("ArrowException",)),
    ("botocore.exceptions", ("BotoCoreError", "ClientError")),
    ("aiohttp", ("ClientError",)),
    ("fsspec.exceptions", ("FSTimeoutError",)),
    ("gcsfs.retry", ("HttpError",)),
    ("google.auth.exceptions", ("GoogleAuthError",)),
    ("httpx", ("HTTPError",)),
    ("obstore.exceptions", ("BaseError",)),
    ("torch", ("OutOfMemoryError",)),
)
"""Module and names of its exceptions. What is not imported cannot have raised any."""

_OF_A_FILE = re.compile(r"parquet|magic|footer|page|snappy|zstd|decompress|file", re.IGNORECASE)
"""Arrow and DuckDB raise the same exceptions for a damaged file and for a wrong call."""

_REMEDIES = {
    errno.ENOSPC: "make room there",
    errno.EDQUOT: "make room there, or raise this user's quota",
    errno.EFBIG: "raise the limit of the size of files (`ulimit -f`)",
    errno.EROFS: "mount it for writing, or choose another folder",
    errno.EACCES: "change its owner or its permissions",
    errno.EPERM: "change its owner or its permissions",
    errno.EIO: "the disk or the network file system fails: check it",
    errno.EMFILE: "raise the limit of open files (`ulimit -n`)",
    errno.ENFILE: "raise the system's limit of open files (`sysctl fs.file-max`)",
    errno.ENOENT: "it was removed, or was never there: check the path and the mounts",
    errno.ENOTDIR: "a part of this path is a file: choose another path",
    errno.EISDIR: "it is a folder: choose another path",
    errno.ENAMETOOLONG: "choose a shorter path",
    errno.ESTALE: "the network file system has changed: mount it again",
    errno.ENOMEM: "close other programs, or use a machine with more memory",
}
_REMEDY = "check the disk and the network"
_STORE = "check the network, the endpoint and the credentials"

_FULL = (errno.ENOSPC, errno.EDQUOT)
_LITTLE_ROOM_BYTES = 1024 * 1024
_LONGEST = 400  # characters of a library's text

_OF_A_STORE = re.compile(
    r"generic (s3|gcs|microsoft azure) error|error sending request|connect|timed? ?out|forbidden"
    r"|temporary failure in name|accessdenied|access denied|invalidaccesskey|expiredtoken"
    r"|signaturedoesnotmatch|nosuchbucket|credential",
    re.IGNORECASE,
)

_PYTHON_STACK = re.compile(r"Traceback \(most recent call last\):\n(?:[ \t].*\n)+")
"""In an error of DuckDB that an exception of a file system in Python has caused."""


def is_fault(error: BaseException) -> bool:
    """Whether an error is a failure of the surroundings, and not a defect of this program."""
    if isinstance(error, OSError | MemoryError):
        return True
    if type(error).__name__ == "Error" and type(error).__module__.endswith("duckdb"):
        return True  # DuckDB has a class for what is wrong with a query, and none for damaged data
    for module, names in _LIBRARIES:
        loaded = sys.modules.get(module)
        kinds = tuple(kind for name in names if (kind := getattr(loaded, name, None)) is not None)
        if kinds and isinstance(error, kinds):
            ambiguous = module == "pyarrow" or type(error).__name__ == "InvalidInputException"
            return not ambiguous or _OF_A_FILE.search(str(error)) is not None
    return False


def fault_of(error: BaseException, places: Iterable[str] = ()) -> NightscribeError | None:
    """A failure of the surroundings as an error for people; None if it is a defect.

    Args:
        places: local folders that are written to, such as the lake; of a full disk, the message
            names those that are on it
    """
    if isinstance(error, NightscribeError):
        return error
    return NightscribeError(reason_of(error, places)) if is_fault(error) else None


def reason_of(error: BaseException, places: Iterable[str] = ()) -> str:
    """What has failed and what to do, in one line, for an error for which `is_fault` is true."""
    if isinstance(error, MemoryError) or type(error).__name__.startswith("OutOfMemory"):
        return (
            f"the memory is used up ({one_line(error) or 'no more can be had'}): close other "
            "programs, or use a machine with more memory, then run again"
        )
    if _from_botocore(error):
        return f"{one_line(cast(Exception, error.__cause__))}: {_STORE}, then run again"
    number = _errno_of(error)
    what = _subject(error)
    if number in _FULL:
        full = what or " or ".join(_full(places))
        return f"{full}: {os.strerror(number)}: {_REMEDIES[number]}, then run again"
    if number in _REMEDIES:
        reason = os.strerror(number)
        named = f"{what}: {reason}" if what and reason not in what else what or one_line(error)
        return f"{named}: {_REMEDIES[number]}, then run again"
    text = one_line(error) or type(error).__name__
    at_a_store = isinstance(error, ConnectionError | TimeoutError) or _OF_A_STORE.search(text)
    return f"{text}: {_STORE if at_a_store else _REMEDY}, then run again"


def is_nameless(error: BaseException) -> bool:
    """Whether an error is of an object store's file system in Python, which names no file."""
    of_duckdb = type(error).__module__.endswith("duckdb")
    return _from_botocore(error) or (of_duckdb and _PYTHON_STACK.search(str(error)) is not None)


def one_line(error: BaseException) -> str:
    """The text of an error without DuckDB's query, and without stacks of Rust and Python."""
    text = re.sub(r"\x1b\[[0-9;]*m", "", str(error))  # delta-rs colours some
    text = _PYTHON_STACK.sub("", text)
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    kept = lines[:1]
    for line in lines[1:]:
        if re.match(r"LINE \d+:|\d+: |at /|stack backtrace", line):
            break
        kept.append(line)
    text = " ".join(kept).rstrip(".:")
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]}…"


def _from_botocore(error: BaseException) -> bool:
    """Whether s3fs has raised it: an `OSError`, whose cause says more than it does."""
    return type(error.__cause__).__module__.startswith("botocore")


def _errno_of(error: BaseException) -> int | None:
    """The number of the system's error, also if a library has it in its text only."""
    if isinstance(error, OSError) and error.errno is not None:
        return error.errno
    text = str(error)
    if found := re.search(r"os error (\d+)", text):
        return int(found[1])
    return next((number for number in _REMEDIES if os.strerror(number) in text), None)


def _subject(error: BaseException) -> str:
    """The file that an error is about, or ""."""
    if isinstance(error, OSError) and error.errno is not None:
        names = [
            os.fsdecode(name)
            for name in (error.filename, error.filename2)
            if isinstance(name, str | bytes)
        ]
        return " and ".join(names)
    return one_line(error)


def _full(places: Iterable[str]) -> list[str]:
    """The places on a disk without room; all of them if none is known to be full."""
    named = list(dict.fromkeys([*places, tempfile.gettempdir()]))
    full = []
    for place in named:
        try:
            if shutil.disk_usage(place).free < _LITTLE_ROOM_BYTES:
                full.append(place)
        except OSError:
            continue
    return full or named
