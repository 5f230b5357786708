"""What the kernel denies a decoder process on this machine, in words for a person."""

from __future__ import annotations

import io
from dataclasses import dataclass

from nightscribe.audio.operations import Trial
from nightscribe.audio.sandbox import MEMORY_BYTES
from nightscribe.audio.workers import run_one

__all__ = ["Confinement", "worker_confinement"]


@dataclass(frozen=True)
class Confinement:
    """Three short sentences, such as `no access (Landlock ABI 6, seccomp)`."""

    file_system: str
    network: str
    limits: str


def worker_confinement() -> Confinement:
    """Start a worker, let it try to open a file and a socket, and say what it could do.

    Raises `NightscribeError` if a worker does not start.
    """
    tried = run_one(Trial(), io.BytesIO(b"trial"))
    abi = tried["landlock_abi"]
    seccomp = "seccomp" if tried["seccomp"] else f"no seccomp: {tried['seccomp_error']}"
    files = f"Landlock ABI {abi}" if abi else f"no Landlock: {tried['landlock_error']}"
    tcp = f"Landlock ABI {abi}" if abi and abi >= 4 else "no Landlock for TCP"
    return Confinement(
        file_system=f"{_access(tried['files'])} ({files}, {seccomp})",
        network=f"{_access(tried['network'])} ({tcp}, {seccomp})",
        limits=(
            f"{MEMORY_BYTES / 1024**3:g} GiB of memory, {tried['descriptors']} open files, "
            "CPU time, time by the size of the file"
        ),
    )


def _access(possible: bool) -> str:
    return "FULL ACCESS" if possible else "no access"
