"""Limits of the control groups (Linux cgroups, versions 1 and 2) that this process is in.

A container's limits are those of its group and of every group around that. The kernel's
documentation describes the files, in "Control Group v2", and for version 1 in "CFS Bandwidth
Control" and "Memory Resource Controller".
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TypeVar

__all__ = ["CGROUPS", "OWN_GROUPS", "cpu_quota", "memory_left"]

CGROUPS = Path("/sys/fs/cgroup")
OWN_GROUPS = Path("/proc/self/cgroup")

_UNLIMITED_V1 = 1 << 62  # bytes; the kernel writes its largest number of pages, near 2**63

Number = TypeVar("Number", int, float)


def cpu_quota(root: Path = CGROUPS, own: Path = OWN_GROUPS) -> float | None:
    """Processors' worth of time that the tightest group allows, such as 1.5; None if unlimited.

    `root` is where control groups are mounted, `own` the file that names those of this process.
    """
    found = _limits(_cpu_quota_v2, _groups_v2(root, own))
    return min([*found, *_limits(_cpu_quota_v1, _groups_v1(root, own, "cpu"))], default=None)


def memory_left(root: Path = CGROUPS, own: Path = OWN_GROUPS) -> int | None:
    """Bytes that the tightest group leaves; None if unlimited. Arguments as for `cpu_quota`."""
    found = _limits(_memory_left_v2, _groups_v2(root, own))
    return min([*found, *_limits(_memory_left_v1, _groups_v1(root, own, "memory"))], default=None)


def _limits(read: Callable[[Path], Number | None], groups: Iterator[Path]) -> Iterator[Number]:
    for group in groups:
        # Some systems show a part of these files, or forbid to read them. A limit that cannot
        # be seen is no reason to stop.
        with contextlib.suppress(OSError, ValueError):
            limit = read(group)
            if limit is not None:
                yield limit


def _memberships(own: Path) -> Iterator[tuple[str, str]]:
    """(controllers, path of the group) of this process; no controllers stands for version 2."""
    for line in own.read_text().splitlines() if own.exists() else []:
        _, controllers, path = line.split(":", 2)
        yield controllers, path.lstrip("/")


def _groups_v2(root: Path, own: Path) -> Iterator[Path]:
    for controllers, path in _memberships(own):
        if not controllers:
            yield from _around(root, path)


def _groups_v1(root: Path, own: Path, controller: str) -> Iterator[Path]:
    for controllers, path in _memberships(own):
        if controller in controllers.split(","):
            # Controllers that are mounted together lie in `cpu,cpuacct`; most systems link `cpu`
            # to it, some have only one of the two names.
            for mounted in {controllers, controller}:
                yield from _around(root / mounted, path)


def _around(mounted: Path, path: str) -> Iterator[Path]:
    """A group's folder and those of all groups around it.

    In a container the path may be the host's, of which only the mounted folder itself is there.
    """
    group = mounted / path
    yield group
    while group != mounted:
        group = group.parent
        yield group


def _cpu_quota_v2(group: Path) -> float | None:
    quota, period = (group / "cpu.max").read_text().split()
    return None if quota == "max" else int(quota) / int(period)


def _cpu_quota_v1(group: Path) -> float | None:
    quota = _number(group / "cpu.cfs_quota_us")
    return quota / _number(group / "cpu.cfs_period_us") if quota > 0 else None


def _memory_left_v2(group: Path) -> int | None:
    texts = [(group / name).read_text().strip() for name in ("memory.max", "memory.high")]
    limits = [int(text) for text in texts if text != "max"]
    used = group / "memory.current"
    return _left(group, min(limits), used, "inactive_file") if limits else None


def _memory_left_v1(group: Path) -> int | None:
    limit = _number(group / "memory.limit_in_bytes")
    used = group / "memory.usage_in_bytes"
    return _left(group, limit, used, "total_inactive_file") if limit < _UNLIMITED_V1 else None


def _left(group: Path, limit: int, used: Path, cached: str) -> int:
    stat = dict(line.split() for line in (group / "memory.stat").read_text().splitlines())
    # Cached pages of files count as used, and make room when it is needed.
    return max(0, limit - (_number(used) - int(stat.get(cached, 0))))


def _number(file: Path) -> int:
    return int(file.read_text())
