"""Print what pyproject.toml asks for, one requirement a line, without building the package.

    python requirements.py pyproject.toml EXTRA…

The image installs these in a layer of their own, so that a change to the sources alone
does not install torch and Airflow again. Standard library only: it runs before anything
is installed.
"""

from __future__ import annotations

import sys
import tomllib
from pathlib import Path


def requirements(pyproject: Path, extras: list[str]) -> list[str]:
    """Return the project's dependencies and those of `extras`; KeyError for an unknown extra."""
    project = tomllib.loads(pyproject.read_text(encoding="utf-8"))["project"]
    optional = project["optional-dependencies"]
    return list(project["dependencies"]) + [line for extra in extras for line in optional[extra]]


if __name__ == "__main__":
    print("\n".join(requirements(Path(sys.argv[1]), sys.argv[2:])))
