"""The commands of the tutorials run as they are written, in an empty folder beside the samples."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ELSEWHERE = {"existing_airflow"}
"""Tutorials that need more than a folder: tests/airflow/test_existing_airflow.py."""

PAGES = [
    page
    for page in sorted((Path(__file__).parents[1] / "docs" / "tutorials").glob("*.md"))
    if page.stem not in ELSEWHERE
]


@pytest.mark.timeout(600)
@pytest.mark.parametrize("page", PAGES, ids=[page.stem for page in PAGES])
def test_every_command_of_a_tutorial_succeeds(page: Path, repository: Path, tmp_path: Path) -> None:
    (tmp_path / "samples").symlink_to(repository / "samples")
    blocks = re.findall(r"^```bash\n(.*?)^```$", page.read_text(encoding="utf-8"), re.DOTALL | re.M)
    assert len(blocks) > 3
    commands = tmp_path / "bin"
    commands.mkdir()
    (commands / "nightscribe").write_text(f'#!/bin/sh\nexec {sys.executable} -m nightscribe "$@"\n')
    (commands / "nightscribe").chmod(0o755)
    kept = {name: value for name, value in os.environ.items() if "NIGHTSCRIBE" not in name}
    environment = kept | {
        "PATH": os.pathsep.join([str(commands), os.environ["PATH"]]),
        "PYTHONPATH": os.pathsep.join([str(repository / "plugins"), str(repository)]),
        "NIGHTSCRIBE_DEVICE": "cpu",
    }
    for block in blocks:
        done = subprocess.run(
            ["bash", "-e", "-o", "pipefail", "-c", block],
            cwd=tmp_path,
            env=environment,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, f"{block}\n{done.stdout}\n{done.stderr}"


def test_there_are_tutorials() -> None:
    assert {page.stem for page in PAGES} >= {"own_folder", "two_systems"}
