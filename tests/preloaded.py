"""Libraries that tests put in front of the C library with LD_PRELOAD, from their sources."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

FAULTY_CALLS = Path(__file__).with_name("faulty_calls.c")
CLOCK_AHEAD = Path(__file__).with_name("clock_ahead.c")


def compiled(source: Path, folder: Path) -> Path | None:
    """The source as a library in a folder; None without a C compiler."""
    compiler = shutil.which("cc") or shutil.which("gcc") or shutil.which("clang")
    if compiler is None:
        return None
    library = folder / source.with_suffix(".so").name
    subprocess.run([compiler, "-shared", "-fPIC", "-O1", "-o", library, source, "-ldl"], check=True)
    return library


def clock_ahead(folder: Path) -> dict[str, str]:
    """Variables of processes whose clock is 5 minutes ahead; none without a C compiler."""
    library = compiled(CLOCK_AHEAD, folder)
    return {"LD_PRELOAD": str(library)} if library else {}
