"""CPU and memory limits of this process's control groups (Linux cgroups, versions 1 and 2).

The limits of a group and of all its ancestors apply. The kernel's documentation describes the
files: "Control Group v2", and for version 1 "CFS Bandwidth Control" and "Memory Resource
Controller".
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TypeVar

__all__ = ["CGROUPS", "OWN_GROUPS", "cpu_quota", "memory_left"]

CGROUPS = Path("/sys/fs/cgroup")
OWN_GROUPS = Path("/proc/self/cgroup")

_UNLIMITED_V1 = 1 << 62  # bytes; the kernel writes a number near 2**63 if there is no limit

Number = TypeVar("Number", int, float)


def cpu_quota(root: Path = CGROUPS, own: Path = OWN_GROUPS) -> float | None:
    """The smallest CPU quota of all groups, in cores, such as 1.5; None if unlimited.

    `root` is the folder where control groups are mounted, `own` the file that lists the groups of
    this process.
    """
    found = _limits(_cpu_quota_v2, _groups_v2(root, own))
    return min([*found, *_limits(_cpu_quota_v1, _groups_v1(root, own, "cpu"))], default=None)


def memory_left(root: Path = CGROUPS, own: Path = OWN_GROUPS) -> int | None:
    """The least free memory of all groups, in bytes; None if unlimited. Arguments: `cpu_quota`."""
    found = _limits(_memory_left_v2, _groups_v2(root, own))
    return min([*found, *_limits(_memory_left_v1, _groups_v1(root, own, "memory"))], default=None)


def _limits(read: Callable[[Path], Number | None], groups: Iterator[Path]) -> Iterator[Number]:
    for group in groups:
        # Some systems have only a part of these files, or deny access to them. A limit that
        # cannot be read is ignored.
        with contextlib.suppress(OSError, ValueError):
            limit = read(group)
            if limit is not None:
                yield limit


def _memberships(own: Path) -> Iterator[tuple[str, str]]:
    """Yield (controllers, path) of each group of this process; version 2 has no controllers."""
    for line in own.read_text().splitlines() if own.exists() else []:
        _, controllers, path = line.split(":", 2)
        yield controllers, path.lstrip("/")


def _groups_v2(root: Path, own: Path) -> Iterator[Path]:
    for controllers, path in _memberships(own):
        if not controllers:
            yield from _with_ancestors(root, path)


def _groups_v1(root: Path, own: Path, controller: str) -> Iterator[Path]:
    for controllers, path in _memberships(own):
        if controller in controllers.split(","):
            # Controllers that are mounted together share a folder, such as `cpu,cpuacct`. Most
            # systems also have a link `cpu`; some have only one of the two names.
            for mounted in {controllers, controller}:
                yield from _with_ancestors(root / mounted, path)


def _with_ancestors(mounted: Path, path: str) -> Iterator[Path]:
    """Yield the folders of a group and of its ancestors, up to the mount point.

    In a container, `path` may be a path of the host. Then only the mount point exists.
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
    # Used memory includes cached pages of files, which the kernel frees when necessary.
    return max(0, limit - (_number(used) - int(stat.get(cached, 0))))


def _number(file: Path) -> int:
    return int(file.read_text())
