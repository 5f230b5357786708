"""How many cores there are to decode on, and how decoding shares them with the engine."""

from __future__ import annotations

import math
import os
import sys
from pathlib import Path

from nightscribe.cgroups import CGROUPS, OWN_GROUPS, cpu_quota

__all__ = ["takes_turns", "usable_cores", "workers_for"]

_FEW_CORES = 4


def usable_cores(cgroups: Path = CGROUPS, own: Path = OWN_GROUPS) -> int:
    """Cores that this process may use: those it may run on, within its control groups' quotas.

    A quota of one core and a half counts as two. For the arguments see `nightscribe.cgroups`.
    """
    quota = cpu_quota(cgroups, own)
    cores = _cores_to_run_on()
    return cores if quota is None else max(1, min(cores, math.ceil(quota)))


def _cores_to_run_on() -> int:
    if sys.version_info >= (3, 13):
        return os.process_cpu_count() or 1
    return len(os.sched_getaffinity(0))


def takes_turns(device: str) -> bool:
    """Whether decoding and computing are better done in turns: on a CPU of few cores.

    Side by side, each matrix product waits there for the thread whose core is taken. Of many
    cores, most would idle while the last recordings are decoded.
    """
    return device == "cpu" and usable_cores() <= _FEW_CORES


def workers_for(device: str) -> int:
    """Worker processes that keep up with a device.

    A GPU leaves the cores to them, but for this process's own. A CPU does so for as long as they
    take turns, and else needs one for every four cores, since decoding is hundreds of times
    faster than real time.
    """
    cores = usable_cores()
    if takes_turns(device):
        return cores
    return max(1, cores - 1 if device.startswith("cuda") else cores // 4)
