"""How many cores this process may use, and how decoding shares them with the engine."""

from __future__ import annotations

import math
import os
import sys
from pathlib import Path

from nightscribe.cgroups import CGROUPS, OWN_GROUPS, cpu_quota

__all__ = ["takes_turns", "usable_cores", "workers_for"]

_FEW_CORES = 4


def usable_cores(cgroups: Path = CGROUPS, own: Path = OWN_GROUPS) -> int:
    """Number of cores that this process may use: its CPU affinity and its CPU quota limit it.

    A quota is rounded up: 1.5 cores count as 2. For the arguments, see `nightscribe.cgroups`.
    """
    quota = cpu_quota(cgroups, own)
    cores = _affinity_cores()
    return cores if quota is None else max(1, min(cores, math.ceil(quota)))


def _affinity_cores() -> int:
    if sys.version_info >= (3, 13):
        return os.process_cpu_count() or 1
    return len(os.sched_getaffinity(0))


def takes_turns(device: str) -> bool:
    """Whether decoding and inference alternate: true on a CPU with at most `_FEW_CORES` cores.

    If both run at the same time on few cores, each matrix product waits for the thread that shares
    its core with a decoder. If they alternate on many cores, most cores are idle while the last
    recordings are decoded.
    """
    return device == "cpu" and usable_cores() <= _FEW_CORES


def workers_for(device: str) -> int:
    """Number of worker processes that keep a device supplied with audio.

    For a GPU, every core but one, which this process uses. For a CPU, every core if decoding and
    inference alternate; otherwise one in four, since decoding is hundreds of times faster than real
    time.
    """
    cores = usable_cores()
    if takes_turns(device):
        return cores
    return max(1, cores - 1 if device.startswith("cuda") else cores // 4)
