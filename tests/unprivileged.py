"""Run a script where permission bits bind, root or not."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys

import pytest


def unprivileged(script: str, *arguments: str) -> list[str]:
    """The lines that a script prints; skips where root cannot give up its rights."""
    # For why it ends so, see `nightscribe.cli.command`.
    script += "\nimport os, sys\nsys.stdout.flush()\nos._exit(0)\n"
    command = [sys.executable, "-c", script, *arguments]
    if os.geteuid() == 0:
        if shutil.which("setpriv") is None:
            pytest.skip("running as root, and setpriv is not installed to give that up")
        rights = "-dac_override,-dac_read_search"
        command = ["setpriv", f"--bounding-set={rights}", f"--inh-caps={rights}", *command]
    done = subprocess.run(
        command,
        check=True,
        stdout=subprocess.PIPE,
        text=True,
        timeout=120,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
    )
    return done.stdout.splitlines()
