"""Main memory that this process may still use: of the machine, or of its container if less."""

from __future__ import annotations

import contextlib
from pathlib import Path

import psutil

__all__ = ["free_memory"]

_CGROUPS = Path("/sys/fs/cgroup")
_OWN_CGROUP = Path("/proc/self/cgroup")


def free_memory(cgroups: Path = _CGROUPS, own: Path = _OWN_CGROUP) -> int:
    """Free bytes, within the limits of all control groups (v2) that contain this process."""
    available: int = psutil.virtual_memory().available
    return min([available, *_free_in_groups(cgroups, own)])


def _free_in_groups(cgroups: Path, own: Path) -> list[int]:
    """Free bytes within the limits of the process's control group and each of its parents."""
    lines = own.read_text().splitlines() if own.exists() else []
    paths = [line.removeprefix("0::/") for line in lines if line.startswith("0::/")]
    found = []
    for path in paths:
        group = cgroups / path
        for folder in (group, *group.parents):
            # Some systems show only a part of these files, or do not let them be read. A limit
            # that cannot be read must not stop the process.
            with contextlib.suppress(OSError, ValueError):
                found.append(_free_in(folder))
            if folder == cgroups:
                break
    return found


def _free_in(group: Path) -> int:
    """Free bytes within a control group's limit. Raises `ValueError` if it has none."""
    limits = [(group / name).read_text().strip() for name in ("memory.max", "memory.high")]
    limit = min(int(limit) for limit in limits if limit != "max")
    stat = dict(line.split() for line in (group / "memory.stat").read_text().splitlines())
    # Cached pages of files count as used, but the kernel frees them when memory is needed.
    used = int((group / "memory.current").read_text()) - int(stat.get("inactive_file", 0))
    return max(0, limit - used)
