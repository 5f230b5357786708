"""Arrivals: what is in the archives that no run has read yet."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from nightscribe.lake.damage import explains
from nightscribe.lake.tables import Lake
from nightscribe.stages.new_files import find_new

__all__ = ["Arrivals", "arrivals"]


@dataclass(frozen=True)
class Arrivals:
    """New and changed files.

    Attributes:
        fingerprint: of their names, sizes and versions: another number if any of them differs
    """

    files: int
    fingerprint: int


@explains
def arrivals(lake: Lake, archives: Sequence[str]) -> Arrivals:
    """Look at the archives as a scan does. Writes and reads nothing but the listings.

    Raises:
        ConfigurationError: an archive does not exist.
        LakeError: the lake cannot be read.
    """
    with find_new(lake, archives) as found:
        [(files, fingerprint)] = found.database.execute(
            "SELECT count(*), bit_xor(hash(uri, size_bytes, version)) FROM fresh"
        ).fetchall()
    return Arrivals(files, fingerprint or 0)
