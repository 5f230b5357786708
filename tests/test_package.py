"""The package as a whole: its public face, what imports what, and what is pinned."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import tomllib
from fnmatch import fnmatch
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any

import pytest
import yaml
from jsonschema.validators import validator_for
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

import nightscribe
from nightscribe.__main__ import command

# What imports what: `make lint` holds the contracts in pyproject.toml


def test_every_public_name_is_there() -> None:
    assert sorted(nightscribe._MODULES) == sorted(nightscribe.__all__)
    for name in nightscribe.__all__:
        assert getattr(nightscribe, name).__module__.startswith("nightscribe.")
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        _ = nightscribe.nothing  # type: ignore[attr-defined]


def test_importing_the_package_imports_nothing_heavy(repository: Path) -> None:
    program = """
import sys
import nightscribe
from nightscribe import Settings
heavy = {"airflow", "duckdb", "numpy", "pyarrow", "torch", "whisper"}
print(*sorted(heavy & sys.modules.keys()))
"""
    assert python(repository, program).split() == []


def python(repository: Path, program: str) -> str:
    """What a program prints in an interpreter of its own."""
    done = subprocess.run(
        [sys.executable, "-c", program],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
        env={"PYTHONPATH": str(repository / "plugins"), "PATH": "/usr/bin:/bin"},
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_the_command_line_starts_without_airflow_torch_and_whisper(repository: Path) -> None:
    program = """
import contextlib, io, sys
import nightscribe, nightscribe.cli
with contextlib.redirect_stdout(io.StringIO()), contextlib.suppress(SystemExit):
    nightscribe.cli.main(["--help"])  # imports every command
assert "nightscribe.cli.transcribe" in sys.modules
print(*sorted({"airflow", "torch", "whisper"} & sys.modules.keys()))
"""
    assert python(repository, program).split() == []


def test_a_run_of_the_demo_is_planned_without_torch_and_whisper(repository: Path) -> None:
    program = f"""
import sys
from nightscribe.stages.order import Order
from nightscribe.settings import Settings
Order(({str(repository / "samples")!r},), "demo", task="both").wanted(Settings())
print(*sorted({{"torch", "whisper"}} & sys.modules.keys()))
"""
    assert python(repository, program).split() == []


INNER = "nightscribe.whisper.batched."
"""Modules of the batched engine, which are imported when it is called: they may import torch."""


def test_every_module_imports_where_there_is_no_airflow(repository: Path) -> None:
    program = f"""
import importlib, pkgutil, sys
sys.modules["airflow"] = None  # importing it fails
import nightscribe
names = [m.name for m in pkgutil.walk_packages(nightscribe.__path__, "nightscribe.")]
names = [name for name in names if not name.startswith("nightscribe.airflow.")]
inner = [name for name in names if name.startswith({INNER!r})]
assert inner
for name in sorted(set(names) - set(inner)):
    importlib.import_module(name)
print(len(names), *sorted({{"torch", "whisper"}} & sys.modules.keys()))
for name in inner:
    importlib.import_module(name)
"""
    count, *heavy = python(repository, program).split()
    assert int(count) > 25
    assert heavy == []


# What is installed


@pytest.fixture(scope="module")
def project(repository: Path) -> dict[str, Any]:
    """pyproject.toml."""
    return tomllib.loads((repository / "pyproject.toml").read_text(encoding="utf-8"))


def test_every_direct_dependency_is_pinned_to_a_version_that_fits(
    repository: Path, project: dict[str, Any]
) -> None:
    pins: dict[str, Version] = {}
    for line in (repository / "constraints.txt").read_text(encoding="utf-8").splitlines():
        if line and not line.startswith("#"):
            name, equals, version = line.partition("==")
            assert equals, f"constraints.txt: {line!r} is no pin"
            pins[canonicalize_name(name)] = Version(version)
    table = project["project"]
    extras = table["optional-dependencies"].values()
    wanted = [Requirement(text) for group in (table["dependencies"], *extras) for text in group]
    assert len(wanted) > 20
    unpinned = [one.name for one in wanted if canonicalize_name(one.name) not in pins]
    assert unpinned == []
    misfits = [str(one) for one in wanted if pins[canonicalize_name(one.name)] not in one.specifier]
    assert misfits == []


def test_every_package_is_listed_for_installation(
    repository: Path, project: dict[str, Any]
) -> None:
    listed = set(project["tool"]["setuptools"]["packages"])
    found = {
        ".".join(path.parent.relative_to(root).parts)
        for root, package in roots_of(repository)
        for path in (root / package).rglob("__init__.py")
    }
    # setuptools takes a folder of data for a package, too; the others lie at the top.
    assert listed - found == {
        *("nightscribe.web.static", "nightscribe.web.templates"),
        *("nightscribe.dags", "nightscribe.demo_model"),
    }
    assert found <= listed


def test_every_data_file_is_listed_for_installation(
    repository: Path, project: dict[str, Any]
) -> None:
    listed = project["tool"]["setuptools"]["package-data"]
    found = [
        (".".join(path.parent.relative_to(root).parts), path.name)
        for root, package in roots_of(repository)
        for path in (root / package).rglob("*")
        if path.is_file() and path.suffix not in (".py", ".pyc")
    ]
    assert ("evaluation.report", "report.html") in found
    missing = [
        (package, name)
        for package, name in found
        if not any(fnmatch(name, pattern) for pattern in listed.get(package, []))
    ]
    assert missing == []


def roots_of(repository: Path) -> list[tuple[Path, str]]:
    """Each package, with the folder that it lies in."""
    return [(repository / "plugins", "nightscribe"), (repository, "evaluation")]


def test_the_console_script_is_installed_and_tells_the_version(repository: Path) -> None:
    [script] = entry_points(group="console_scripts", name="nightscribe")
    assert script.load() is command
    program = Path(sys.executable).parent / "nightscribe"
    done = subprocess.run([program, "--version"], capture_output=True, text=True, check=True)
    assert done.stdout == f"nightscribe {nightscribe.__version__}\n"
    assert re.fullmatch(r"\d+\.\d+\.\d+\S*", nightscribe.__version__)


# Workflows of a public CI


def test_workflows_follow_the_schema_and_call_what_is_there(repository: Path) -> None:
    package = pytest.importorskip("check_jsonschema", reason="needs check-jsonschema")
    schema = Path(package.__file__).parent / "builtin_schemas" / "vendor" / "github-workflows.json"
    content = json.loads(schema.read_text(encoding="utf-8"))
    validator = validator_for(content)(content)
    files = sorted((repository / ".github" / "workflows").glob("*.yml"))
    assert len(files) == 2
    for file in files:
        read = yaml.safe_load(file.read_text(encoding="utf-8"))
        workflow = {"on" if key is True else key: value for key, value in read.items()}
        assert [error.message for error in validator.iter_errors(workflow)] == []
        [job] = workflow["jobs"].values()
        scripts = [step["run"].split()[0] for step in job["steps"] if "run" in step]
        ours = [repository / one for one in scripts if "/" in one]
        assert ours
        assert all(os.access(one, os.X_OK) for one in ours)
