"""The wheel has all that Nightscribe needs outside its repository."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from nightscribe.airflow.readiness import DAGS
from nightscribe.cli.airflow import dag_names
from tests.built_wheel import build_wheel
from tests.nights import archive_of

pytest.importorskip("setuptools", minversion="77", reason="needs setuptools to build a wheel")

SOURCES = {"plugins/nightscribe": "nightscribe", "dags": "nightscribe/dags"}
SOURCES |= {"models": "nightscribe/demo_model", "evaluation": "evaluation"}

BAG = """
import json, sys
from airflow.dag_processing.dagbag import DagBag
bag = DagBag(sys.argv[1])
print(json.dumps({"errors": bag.import_errors, "dags": {
    dag_id: [dag.fileloc, len(dag.tasks)] for dag_id, dag in bag.dags.items()}}))
"""


@pytest.fixture(scope="module")
def wheel(repository: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build_wheel(repository, tmp_path_factory.mktemp("wheel"))


@pytest.fixture(scope="module")
def installed(wheel: Path) -> Path:
    """The wheel's content, as pip puts it into a folder."""
    with zipfile.ZipFile(wheel) as packed:
        packed.extractall(wheel.parent / "installed")
    return wheel.parent / "installed"


@pytest.fixture
def nightscribe(installed: Path, tmp_path: Path) -> Callable[..., subprocess.CompletedProcess[str]]:
    """Runs the command of the wheel in an empty folder."""
    kept = {name: value for name, value in os.environ.items() if "NIGHTSCRIBE" not in name}
    environment = {**kept, "PYTHONPATH": str(installed), "AIRFLOW_HOME": str(tmp_path / "airflow")}

    def run(*arguments: str, code: int = 0) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-P", *arguments]
        done = subprocess.run(
            command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False
        )
        assert done.returncode == code, done.stderr
        return done

    return run


def test_a_checkout_that_is_installed_has_the_dags_as_a_package_too() -> None:
    assert dag_names() == sorted(DAGS)


def test_every_file_of_the_library_is_in_the_wheel_and_nothing_else(
    wheel: Path, repository: Path
) -> None:
    wanted = {
        f"{target}/{path.relative_to(repository / source)}"
        for source, target in SOURCES.items()
        for path in (repository / source).rglob("*")
        if path.is_file() and "__pycache__" not in path.parts and path.suffix != ".pyc"
    }
    with zipfile.ZipFile(wheel) as packed:
        found = {name for name in packed.namelist() if ".dist-info/" not in name}
    assert found == wanted


def test_who_builds_it_again_gets_the_same_bytes(
    wheel: Path, repository: Path, tmp_path: Path
) -> None:
    """From other copies of the sources, whose files have other times."""
    assert build_wheel(repository, tmp_path).read_bytes() == wheel.read_bytes()


def test_a_night_without_a_checkout(
    nightscribe: Callable[..., subprocess.CompletedProcess[str]], installed: Path, tmp_path: Path
) -> None:
    archive = archive_of(tmp_path / "archive", ["english/en-01.flac", "german/de-01.flac"])
    (archive / "manifest.csv").write_text("path,language,text\nen-01.flac,en,The doctor looks.\n")
    place = nightscribe("-c", "import nightscribe; print(nightscribe.__file__)").stdout
    assert place.startswith(str(installed))
    command = ("-m", "nightscribe")
    clip = str(archive / "en-01.flac")
    nightscribe(*command, "transcribe", clip, "--model", "demo", "--output_format", "srt")
    assert "doctor" in (tmp_path / "en-01.srt").read_text()
    lake = ("--lake", str(tmp_path / "lake"))
    nightscribe(*command, "run", "--archives", str(archive), *lake, "--model", "demo")
    asked = nightscribe(
        *command, "sql", *lake, "--format", "json", "SELECT count(*) AS n FROM transcripts"
    )
    assert json.loads(asked.stdout) == [{"n": 2}]
    assert "wer" in nightscribe(*command, "evaluate", *lake).stdout.lower()


def test_dag_files_that_import_the_package(
    nightscribe: Callable[..., subprocess.CompletedProcess[str]], tmp_path: Path
) -> None:
    folder = tmp_path / "dags"
    install = ("-m", "nightscribe", "airflow", "install", "--dags-folder", str(folder))
    assert "there is no folder" in nightscribe(*install, code=2).stderr
    folder.mkdir()
    assert nightscribe(*install, "--check", code=1).stdout.count("missing: ") == len(DAGS)
    assert list(folder.iterdir()) == []
    nightscribe(*install)
    nightscribe(*install)
    assert "5 of 5 files" in nightscribe(*install, "--check").stdout
    found = json.loads(nightscribe("-c", BAG, str(folder)).stdout.splitlines()[-1])
    assert found["errors"] == {}
    assert found["dags"].keys() == set(DAGS)
    for dag_id, (file, tasks) in found["dags"].items():
        assert Path(file) == folder / f"{dag_id}.py"
        assert tasks > 0
    own = folder / "transcribe_upload.py"
    own.write_text("# mine")
    assert f"{own}: there already" in nightscribe(*install, code=2).stderr
    assert own.read_text() == "# mine"
