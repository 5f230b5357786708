"""Main memory that this process may still take: the machine's, or less in a container."""

from __future__ import annotations

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
            limit = folder / "memory.max"
            if limit.exists() and (most := limit.read_text().strip()) != "max":
                used = int((folder / "memory.current").read_text()) - _reclaimable(folder)
                found.append(max(0, int(most) - used))
            if folder == cgroups:
                break
    return found


def _reclaimable(folder: Path) -> int:
    """Cached pages of files, which count as used and make room when it is needed."""
    stat = dict(line.split() for line in (folder / "memory.stat").read_text().splitlines())
    return int(stat.get("inactive_file", 0))
