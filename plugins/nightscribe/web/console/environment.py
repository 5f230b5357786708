"""The variables that the process of a query gets."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from nightscribe.audio.worker_process import environment
from nightscribe.lake.tables import Lake

__all__ = ["environment_for"]

# The cloud's own chain of credentials, and the way to the cloud.
_CLOUD = re.compile(
    r"HOME|AWS_\w+|GOOGLE_\w+|GCE_\w+|SSL_CERT_\w+|REQUESTS_CA_BUNDLE|(https?|no|all)_proxy",
    re.IGNORECASE,
)


def environment_for(lake: Lake, given: Mapping[str, str], path: Sequence[str]) -> dict[str, str]:
    """Of `given`, what Python needs to start; and what a lake in an object store needs."""
    kept = environment(given, path)
    # Each of glibc's pools of memory takes 64 MiB of address space.
    kept["MALLOC_ARENA_MAX"] = "2"
    if not lake.is_local and not lake.storage_options:
        kept |= {name: value for name, value in given.items() if _CLOUD.fullmatch(name)}
    return kept
