"""The commands of tutorials and how-tos run as they are written, in a folder beside the samples."""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from nightscribe.airflow.standalone import free_port

ELSEWHERE = {"existing_airflow"}
"""Tutorials that need more than a folder: tests/airflow/test_existing_airflow.py."""

PAGES = [
    page
    for folder in ("tutorials", "how_to")
    for page in sorted((Path(__file__).parents[1] / "docs" / folder).glob("*.md"))
    if page.stem not in ELSEWHERE
]


@pytest.mark.timeout(600)
@pytest.mark.parametrize("page", PAGES, ids=[page.stem for page in PAGES])
def test_every_command_of_a_tutorial_succeeds(page: Path, repository: Path, tmp_path: Path) -> None:
    for name in ("samples", "models"):
        (tmp_path / name).symlink_to(repository / name)
    text = page.read_text(encoding="utf-8")
    blocks = re.findall(r"^ *```bash\n(.*?)^ *```$", text, re.DOTALL | re.M)
    assert len(blocks) >= 3
    if "ffmpeg" in text and shutil.which("ffmpeg") is None:
        pytest.skip("ffmpeg is not installed")
    port = str(free_port())
    commands = tmp_path / "bin"
    commands.mkdir()
    for name, module in (("nightscribe", "-m nightscribe"), ("python", "")):
        (commands / name).write_text(f'#!/bin/sh\nexec {sys.executable} {module} "$@"\n')
        (commands / name).chmod(0o755)
    kept = {name: value for name, value in os.environ.items() if "NIGHTSCRIBE" not in name}
    environment = kept | {
        "PATH": os.pathsep.join([str(commands), os.environ["PATH"]]),
        "PYTHONPATH": os.pathsep.join([str(repository / "plugins"), str(repository)]),
        "NIGHTSCRIBE_DEVICE": "cpu",
    }
    sessions = []
    try:
        for block in blocks:
            shell = subprocess.Popen(
                ["bash", "-e", "-o", "pipefail", "-c", block.replace("5055", port)],
                cwd=tmp_path,
                env=environment,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
                start_new_session=True,  # to end the servers that it starts
            )
            sessions.append(shell.pid)
            output, _ = shell.communicate()
            assert shell.returncode == 0, f"{block}\n{output}"
    finally:
        for session in sessions:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(session, signal.SIGTERM)


def test_there_are_tutorials() -> None:
    assert {page.stem for page in PAGES} >= {"own_folder", "two_systems", "move_and_restore"}
