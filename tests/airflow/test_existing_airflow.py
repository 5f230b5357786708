"""The tutorial for an Airflow that is there already: every command, with the wheel and no checkout.

The environment has all packages of this one but Nightscribe, which the tutorial installs.
"""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import signal
import subprocess
import time
import venv
from collections.abc import Iterator
from importlib.metadata import distribution
from pathlib import Path

import pytest

from nightscribe.airflow.standalone import free_port
from tests.built_wheel import build_wheel
from tools.licences import licences_of

pytest.importorskip("setuptools", minversion="77", reason="needs setuptools to build a wheel")
pytestmark = [
    pytest.mark.timeout(600),
    pytest.mark.skipif(
        any(shutil.which(name) is None for name in ("curl", "jq")), reason="curl or jq is missing"
    ),
]

PAGE = "docs/tutorials/existing_airflow.md"

# `airflow standalone` serves the logs of tasks on all interfaces of the machine; these are its
# parts without that.
AIRFLOW = """#!/bin/sh
if [ "$1" = standalone ]; then exec {python} -P -m nightscribe.airflow.standalone _serve; fi
exec {python} -P -m airflow "$@"
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory, repository: Path) -> Path:
    """An empty folder but for the samples and the wheel."""
    folder = tmp_path_factory.mktemp("existing")
    (folder / "samples").symlink_to(repository / "samples")
    wheel = build_wheel(repository, tmp_path_factory.mktemp("wheel"))
    (folder / "dist").mkdir()
    shutil.copy(wheel, folder / "dist")
    return folder


@pytest.fixture(scope="module")
def port() -> int:
    return free_port()


@pytest.fixture(scope="module")
def environment(
    folder: Path, port: int, tmp_path_factory: pytest.TempPathFactory
) -> dict[str, str]:
    """Variables of a virtual environment with Airflow."""
    place = tmp_path_factory.mktemp("venv")
    venv.create(place / "venv", with_pip=True, symlinks=True)
    commands = place / "venv" / "bin"
    packages = place / "packages"
    packages.mkdir()
    for entry in _of_airflow_and_of_what_nightscribe_needs():
        (packages / entry.name).symlink_to(entry)
    [own] = (place / "venv").glob("lib/python*/site-packages")
    for older in own.glob("setuptools*"):  # Python 3.11 brings one
        shutil.rmtree(older)
    (own / "airflow_that_is_there.pth").write_text(f"{packages}\n")
    (commands / "airflow").write_text(AIRFLOW.format(python=commands / "python"))
    (commands / "airflow").chmod(0o755)
    kept = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("NIGHTSCRIBE", "AIRFLOW", "PYTHON"))
    }
    url = f"http://127.0.0.1:{port}"
    return kept | {
        "PATH": os.pathsep.join([str(commands), kept["PATH"]]),
        "PIP_NO_INDEX": "1",
        "AIRFLOW_HOME": str(place / "home"),
        "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
        "AIRFLOW__CORE__EXECUTION_API_SERVER_URL": f"{url}/execution/",
        "AIRFLOW__API__BASE_URL": url,
        "AIRFLOW__API__HOST": "127.0.0.1",
        "AIRFLOW__API__PORT": str(port),
        "AIRFLOW__API__WORKERS": "1",
        "AIRFLOW__SCHEDULER__ENABLE_HEALTH_CHECK": "False",
        "NIGHTSCRIBE_DEVICE": "cpu",
        "NIGHTSCRIBE_THREADS": "1",
    }


def _of_airflow_and_of_what_nightscribe_needs() -> set[Path]:
    """Files and folders of these packages and no others: a dependency may not be missing."""
    needed = licences_of("apache-airflow").keys() | licences_of("nightscribe").keys()
    found = set()
    for package in needed - {"nightscribe"} | {"setuptools"}:
        for file in distribution(package).files or ():
            if file.parts[0] not in ("..", "__pycache__"):
                found.add(Path(distribution(package).locate_file(file.parts[0])))
    return found


@pytest.fixture(scope="module")
def output(folder: Path, port: int, environment: dict[str, str], repository: Path) -> Iterator[str]:
    """What the tutorial's commands print, run as one shell session. Its Airflow still runs."""
    page = (repository / PAGE).read_text(encoding="utf-8")
    blocks = re.findall(r"^```bash\n(.*?)^```$", page, re.DOTALL | re.M)
    script = "\n".join(blocks).replace("localhost:8080", f"127.0.0.1:{port}")
    log = folder / "output"
    with log.open("w") as file:
        shell = subprocess.Popen(
            ["bash", "-x", "-e", "-o", "pipefail", "-c", script],
            cwd=folder,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=file,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    try:
        try:
            code = shell.wait(500)
        except subprocess.TimeoutExpired:
            pytest.fail(f"not done after 500 s:\n{log.read_text()}")
        assert code == 0, log.read_text()
        yield log.read_text()
    finally:
        _end(shell.pid)


def _end(session: int) -> None:
    """End the servers that the session has started, which may not be there yet."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(session, signal.SIGTERM)
        for _ in range(100):
            time.sleep(0.2)
            os.killpg(session, 0)
        os.killpg(session, signal.SIGKILL)


def test_every_command_succeeds_and_the_night_too(output: str) -> None:
    assert "\nsuccess\n" in output
    assert "FAIL" not in output
    last = output.rpartition("+ nightscribe sql")[2]
    assert "│ transcribe │" in last
    assert "│ translate  │" in last


def test_it_was_the_wheel_and_nothing_of_the_checkout(
    output: str, environment: dict[str, str], folder: Path, repository: Path
) -> None:
    asked = "import nightscribe, evaluation; print(nightscribe.__file__, evaluation.__file__)"
    place = subprocess.run(
        ["python", "-c", asked],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    assert place.count("/venv/lib/") == 2
    assert str(repository) not in place


def test_the_versions_that_were_there_stayed(output: str, folder: Path) -> None:
    assert "Successfully installed nightscribe-0.1.0\n" in output
    had = (folder / "have.txt").read_text()
    assert "apache-airflow==" in had
    assert "nightscribe" not in had


def test_nothing_that_it_needs_is_missing(
    output: str, environment: dict[str, str], folder: Path
) -> None:
    """DuckDB needs a package for times with a zone that it does not ask for."""
    indexed = subprocess.run(
        ["nightscribe", "index", "--lake", "lake"],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert indexed.returncode == 0, indexed.stderr


def test_the_pages_opened(output: str, folder: Path) -> None:
    page = (folder / "recordings.html").read_text(encoding="utf-8")
    assert "de-01" in page
