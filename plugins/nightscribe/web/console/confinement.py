"""What the process of a query gives up before it reads the lake."""

from __future__ import annotations

import contextlib
import os
import resource
import signal
from pathlib import Path

from nightscribe.audio import sandbox
from nightscribe.lake.tables import Lake
from nightscribe.web.console.limits import QueryLimits

__all__ = ["Memory", "confine"]

# DuckDB looks up how much memory there is when it starts, and aborts if it cannot.
_DUCKDB_READS = (Path("/proc/self/cgroup"), Path("/sys/fs/cgroup"))


def confine(lake: Lake, folder: Path, limits: QueryLimits) -> None:
    """Bound time, files and rank of this process; on Linux, its reach as well.

    No other thread may run yet. A lake in an object store needs the network and its credentials, so
    there DuckDB's own rules alone keep a query in the lake.
    """
    _at_most(resource.RLIMIT_CORE, 0)
    _at_most(resource.RLIMIT_FSIZE, limits.file_bytes)
    _at_most(resource.RLIMIT_NOFILE, 1024)
    _at_most(resource.RLIMIT_CPU, int(4 * limits.wall_s) + 5)
    # The server kills this process in time, unless the server itself was killed.
    signal.setitimer(signal.ITIMER_REAL, limits.wall_s + 5)
    os.nice(10)  # pages come first
    with contextlib.suppress(OSError):
        Path("/proc/self/oom_score_adj").write_text("1000")  # the first to go if memory runs out
    if lake.is_local:
        os.environ.clear()
        known = [place for place in _DUCKDB_READS if place.exists()]
        sandbox.confine_to(read=[Path(lake.uri), *known], write=[folder])


class Memory:
    """Bounds the address space of this process once it has what every query needs."""

    def __init__(self) -> None:
        # Libraries and thread stacks take address space that is never used: it does not count.
        self._size = open("/proc/self/statm", "rb", buffering=0)  # noqa: SIM115 - for its lifetime

    def limit(self, more_bytes: int) -> None:
        """Let this process take so many bytes more than it has."""
        pages = int(os.pread(self._size.fileno(), 100, 0).split()[0])
        _at_most(resource.RLIMIT_AS, pages * resource.getpagesize() + more_bytes)


def _at_most(kind: int, most: int) -> None:
    _, hard = resource.getrlimit(kind)
    limit = most if hard == resource.RLIM_INFINITY else min(most, hard)
    resource.setrlimit(kind, (limit, limit))
