"""Main memory that this process may still take: the machine's, or less in a container."""

from __future__ import annotations

import contextlib
from pathlib import Path

import psutil

_CGROUPS = Path("/sys/fs/cgroup")
_SELF = Path("/proc/self/cgroup")


def free_memory(cgroups: Path = _CGROUPS, own: Path = _SELF) -> int:
    """Bytes that are free now, within the limits of all control groups (v2) around this process."""
    available: int = psutil.virtual_memory().available
    return min([available, *_left(cgroups, own)])


def _left(cgroups: Path, own: Path) -> list[int]:
    """What the limits of the process's control group, and of those around it, leave."""
    lines = own.read_text().splitlines() if own.exists() else []
    paths = [line.removeprefix("0::/") for line in lines if line.startswith("0::/")]
    found = []
    for path in paths:
        group = cgroups / path
        for folder in (group, *group.parents):
            # Some systems show a part of these files, or forbid to read them. No limit that can
            # be seen is no reason to stop.
            with contextlib.suppress(OSError, ValueError):
                found.append(_left_in(folder))
            if folder == cgroups:
                break
    return found


def _left_in(group: Path) -> int:
    """What a control group's limit leaves. Raises `ValueError` where it has none."""
    limits = [(group / name).read_text().strip() for name in ("memory.max", "memory.high")]
    limit = min(int(limit) for limit in limits if limit != "max")
    stat = dict(line.split() for line in (group / "memory.stat").read_text().splitlines())
    # Cached pages of files count as used, and make room when it is needed.
    used = int((group / "memory.current").read_text()) - int(stat.get("inactive_file", 0))
    return max(0, limit - used)
