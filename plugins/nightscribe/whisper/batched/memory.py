"""Main memory that this process may still use: of the machine, or of its container if less."""

from __future__ import annotations

from pathlib import Path

import psutil

from nightscribe.cgroups import CGROUPS, OWN_GROUPS, memory_left

__all__ = ["free_memory"]


def free_memory(cgroups: Path = CGROUPS, own: Path = OWN_GROUPS) -> int:
    """Free bytes, within the limits of all control groups that contain this process."""
    available: int = psutil.virtual_memory().available
    limited = memory_left(cgroups, own)
    return available if limited is None else min(available, limited)
