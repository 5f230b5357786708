"""Main memory that this process may still take: the machine's, or less in a container."""

from __future__ import annotations

from pathlib import Path

import psutil

from nightscribe.cgroups import CGROUPS, OWN_GROUPS, memory_left


def free_memory(cgroups: Path = CGROUPS, own: Path = OWN_GROUPS) -> int:
    """Bytes that are free now, within the limits of all control groups around this process."""
    available: int = psutil.virtual_memory().available
    limited = memory_left(cgroups, own)
    return available if limited is None else min(available, limited)
