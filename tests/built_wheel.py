"""The wheel, built from the checkout without a network."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path


def build_wheel(repository: Path, folder: Path) -> Path:
    """Build the wheel in a folder, from a copy, since a build leaves files beside its sources."""
    for name in ("plugins", "dags", "models", "evaluation"):
        leave = shutil.ignore_patterns("__pycache__", "*.egg-info")
        target = folder / "copy" / name
        shutil.copytree(repository / name, target, ignore=leave, copy_function=shutil.copy)
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(repository / name, folder / "copy")
    build = ["pip", "wheel", "--quiet", "--no-deps", "--no-build-isolation", "--no-index"]
    command = [sys.executable, "-m", *build, f"--wheel-dir={folder}", "."]
    environment = {**os.environ, "SOURCE_DATE_EPOCH": "1790000000"}
    subprocess.run(command, cwd=folder / "copy", env=environment, check=True)
    [built] = folder.glob("nightscribe-*-py3-none-any.whl")
    return built
