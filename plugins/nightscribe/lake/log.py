"""The log of a table, examined before the table is used.

delta-rs reads a log whose newest entries are lost, or which it cannot look at, as an older table,
and an empty entry as one without changes. Each gives fewer rows without an error, so the entries
are looked at here, by their names and sizes. See `nightscribe.lake.published` for entries that are
lost.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from datetime import UTC, datetime

from nightscribe.lake.location import LakeLocation

__all__ = [
    "entry_path",
    "log_damage",
    "newest_version",
    "read_log",
    "unreadable_entry",
    "written_at",
]

_ENTRY = re.compile(r"(\d{20})\.json")
_CHECKPOINT = re.compile(r"(\d{20})\.checkpoint(\..+)?\.parquet")


def entry_path(name: str, version: int) -> str:
    """The log entry of a version of a table, as a path in the lake."""
    return f"{name}/_delta_log/{version:020d}.json"


def read_log(lake: LakeLocation, name: str) -> Mapping[str, int] | None:
    """File name → bytes, of a table's log; None if the table has no log. Raises `OSError`."""
    try:
        return lake.sizes(f"{name}/_delta_log")
    except (FileNotFoundError, NotADirectoryError):
        return None


def newest_version(files: Mapping[str, int]) -> int:
    """The newest version of which a log has an entry or a checkpoint; -1 without one."""
    found = (_ENTRY.fullmatch(file) or _CHECKPOINT.fullmatch(file) for file in files)
    return max((int(one[1]) for one in found if one), default=-1)


def log_damage(files: Mapping[str, int]) -> tuple[int, str] | None:
    """The first version whose log entry cannot be used, and what is wrong with it.

    >>> log_damage({f"{n:020d}.json": 900 for n in (0, 1, 3)})
    (2, 'is missing')
    """
    entries = {int(m[1]): size for file, size in files.items() if (m := _ENTRY.fullmatch(file))}
    checkpoints = [int(m[1]) for file in files if (m := _CHECKPOINT.fullmatch(file))]
    first = max(checkpoints, default=-1) + 1
    for version in range(first, max(entries, default=-1) + 1):
        if version not in entries:
            return version, "is missing"
        if not entries[version]:
            return version, "is empty"
    return None


def unreadable_entry(lake: LakeLocation, name: str) -> tuple[int, str] | None:
    """Like `log_damage`, for an entry that is not what delta-rs wrote. Raises `OSError`."""
    for file in sorted(read_log(lake, name) or {}):
        if not (found := _ENTRY.fullmatch(file)):
            continue
        version = int(found[1])
        content = lake.filesystem.cat_file(lake.native_path(entry_path(name, version)))
        try:
            for line in content.splitlines():
                json.loads(line)
        except ValueError:
            return version, "is cut, or is not JSON"
    return None


def written_at(lake: LakeLocation, name: str, version: int) -> str:
    """When a version was committed, as its log entry says; "" if that is not known."""
    try:
        content = lake.filesystem.cat_file(lake.native_path(entry_path(name, version)))
        for line in content.splitlines():
            stamp = json.loads(line).get("commitInfo", {}).get("timestamp")
            if stamp is not None:
                moment = datetime.fromtimestamp(stamp / 1000, UTC)
                return f" of {moment.isoformat(timespec='milliseconds')}"
    except (OSError, ValueError):
        pass
    return ""
