"""How many cores there are to decode on, and how decoding shares them with the engine."""

from __future__ import annotations

import os

_FEW_CORES = 4


def usable_cores() -> int:
    """Cores that this process may run on."""
    return len(os.sched_getaffinity(0))


def takes_turns(device: str) -> bool:
    """Whether decoding and computing are better done in turns: on a CPU of few cores.

    Side by side, each matrix product waits there for the thread whose core is taken. Of many
    cores, most would idle while the last recordings are decoded.
    """
    return device == "cpu" and usable_cores() <= _FEW_CORES


def workers_for(device: str) -> int:
    """Worker processes that keep up with a device.

    A graphics card leaves the cores to them, but for this process's own. A CPU does so for as long
    as they take turns, and else needs one for every four cores, since decoding is hundreds of
    times faster than real time.
    """
    cores = usable_cores()
    if takes_turns(device):
        return cores
    return max(1, cores - 1 if device.startswith("cuda") else cores // 4)
