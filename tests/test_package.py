"""The package as a whole: what imports what, what is pinned, and what the documentation names."""

from __future__ import annotations

import ast
import fnmatch
import importlib
import re
import shlex
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

import nightscribe
from nightscribe import cli
from nightscribe.settings import ArchiveLimits, Settings
from nightscribe.whisper.models import DEMO_VARIABLE


class Import(NamedTuple):
    """One import statement's module, and who has it where."""

    importer: str  # dotted name
    imported: str  # dotted name
    in_function: bool


def imports_of(folder: Path, package: str) -> Iterator[Import]:
    """Every import in a package's files, those inside functions too."""
    for path in sorted(folder.rglob("*.py")):
        inside = path.relative_to(folder).with_suffix("").parts
        importer = ".".join((package, *(part for part in inside if part != "__init__")))
        yield from _imports(ast.parse(path.read_text(encoding="utf-8")), importer, False)


def _imports(node: ast.AST, importer: str, in_function: bool) -> Iterator[Import]:
    in_function |= isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda)
    if isinstance(node, ast.Import):
        for alias in node.names:
            yield Import(importer, alias.name, in_function)
    elif isinstance(node, ast.ImportFrom):
        assert node.level == 0, f"{importer}: imports are absolute here"
        # `from nightscribe import cli` names a module, too.
        for alias in node.names:
            yield Import(importer, f"{node.module}.{alias.name}", in_function)
    for child in ast.iter_child_nodes(node):
        yield from _imports(child, importer, in_function)


def is_in(name: str, package: str) -> bool:
    return name == package or name.startswith(package + ".")


@pytest.fixture(scope="module")
def library(repository: Path) -> list[Import]:
    """All imports in the library."""
    found = list(imports_of(repository / "plugins" / "nightscribe", "nightscribe"))
    assert len(found) > 200
    return found


# What imports what


def test_airflow_is_imported_by_its_own_layer_only(library: list[Import]) -> None:
    foreign = [
        one
        for one in library
        if is_in(one.imported, "airflow") and not is_in(one.importer, "nightscribe.airflow")
    ]
    assert [one for one in foreign if not one.in_function] == []
    # URIs with a connection in them are resolved by Airflow, where it is installed.
    assert {one.importer for one in foreign} <= {"nightscribe.storage"}


CREDENTIAL_READERS = {"nightscribe.storage", "nightscribe.cli.lake_arguments"}


def test_nothing_imports_the_layers_above(library: list[Import]) -> None:
    for layer in ("nightscribe.cli", "nightscribe.airflow"):
        assert [
            one
            for one in library
            if is_in(one.imported, layer)
            and not is_in(one.importer, layer)
            # Credentials of Airflow's connections, where a URI names one.
            and (one.importer not in CREDENTIAL_READERS or not one.in_function)
        ] == []


def test_the_library_knows_evaluation_from_two_commands_only(library: list[Import]) -> None:
    importers = {one.importer for one in library if is_in(one.imported, "evaluation")}
    assert importers == {"nightscribe.cli.baseline", "nightscribe.cli.evaluate"}


def test_evaluation_knows_the_lake_from_two_modules_only(repository: Path) -> None:
    found = list(imports_of(repository / "evaluation", "evaluation"))
    importers: dict[str, set[str]] = {}
    for one in found:
        if is_in(one.imported, "nightscribe"):
            importers.setdefault(".".join(one.imported.split(".")[:2]), set()).add(one.importer)
    assert importers == {
        "nightscribe.lake": {"evaluation.gate.baselines", "evaluation.lake"},
        "nightscribe.languages": {"evaluation.languages"},
    }
    assert not [one for one in found if is_in(one.imported, "airflow")]


def test_imports_within_evaluation_run_one_way(repository: Path) -> None:
    order = ("errors", "languages", "pairs", "measure", "gate", "report", "two_files", "lake")
    level = {f"evaluation.{name}": index for index, name in enumerate(order)}
    level["evaluation.__main__"] = len(order)

    def level_of(module: str) -> int:
        return level[".".join(module.split(".")[:2])]

    found = [
        one
        for one in imports_of(repository / "evaluation", "evaluation")
        if is_in(one.imported, "evaluation") and one.importer != "evaluation"
    ]
    assert len(found) > 100
    assert [one for one in found if level_of(one.imported) > level_of(one.importer)] == []


def test_dag_files_are_imported_by_nobody(repository: Path, library: list[Import]) -> None:
    names = {path.stem for path in (repository / "dags").glob("*.py")} | {"dags", "tests"}
    found = [*library, *imports_of(repository / "evaluation", "evaluation")]
    assert names > {"dags", "tests"}
    assert not [one for one in found if one.imported.partition(".")[0] in names]


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
from nightscribe.pipeline import Order
from nightscribe.settings import Settings
Order(({str(repository / "samples")!r},), "demo", task="both").wanted(Settings())
print(*sorted({{"torch", "whisper"}} & sys.modules.keys()))
"""
    assert python(repository, program).split() == []


INNER = (
    *("alignment", "batched", "lane", "linear", "longform", "network", "rules", "sizing"),
    *("sound", "words"),
)
"""Modules of the batched engine, which `engine_named` imports: they may import torch."""


def test_every_module_imports_where_there_is_no_airflow(repository: Path) -> None:
    program = f"""
import importlib, pkgutil, sys
sys.modules["airflow"] = None  # importing it fails
import nightscribe
names = [m.name for m in pkgutil.walk_packages(nightscribe.__path__, "nightscribe.")]
names = [name for name in names if not name.startswith("nightscribe.airflow.")]
inner = [name for name in names if name.removeprefix("nightscribe.whisper.") in {INNER!r}]
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
        for root, package in ((repository / "plugins", "nightscribe"), (repository, "evaluation"))
        for path in (root / package).rglob("__init__.py")
    }
    assert found == listed


def test_every_data_file_is_listed_for_installation(
    repository: Path, project: dict[str, Any]
) -> None:
    listed = project["tool"]["setuptools"]["package-data"]
    found = [
        (".".join(path.parent.relative_to(root).parts), path.name)
        for root, package in ((repository / "plugins", "nightscribe"), (repository, "evaluation"))
        for path in (root / package).rglob("*")
        if path.is_file() and path.suffix not in (".py", ".pyc")
    ]
    assert ("evaluation.report", "report.html") in found
    missing = [
        (package, name)
        for package, name in found
        if not any(fnmatch.fnmatch(name, pattern) for pattern in listed.get(package, []))
    ]
    assert missing == []


def test_the_console_script_is_installed_and_tells_the_version(repository: Path) -> None:
    [script] = entry_points(group="console_scripts", name="nightscribe")
    assert script.load() is cli.command
    program = Path(sys.executable).parent / "nightscribe"
    done = subprocess.run([program, "--version"], capture_output=True, text=True, check=True)
    assert done.stdout == f"nightscribe {nightscribe.__version__}\n"
    assert re.fullmatch(r"\d+\.\d+\.\d+\S*", nightscribe.__version__)


# What the documentation names


def documents(repository: Path) -> list[Path]:
    """The pages that people read."""
    return [repository / "README.md", *sorted((repository / "docs").glob("*.md"))]


def commands_of(text: str) -> Iterator[list[str]]:
    """Words of each shell command in a page's code blocks that runs `nightscribe`."""
    for block in re.findall(r"^```(?:bash|sh|shell|console)\n(.*?)^```", text, re.DOTALL | re.M):
        for line in block.replace("\\\n", " ").splitlines():
            line = line.strip().removeprefix("$ ")
            if line.startswith("nightscribe "):
                yield shlex.split(re.split(r"\s[|>]\s", line)[0], comments=True)


def test_commands_in_the_documentation_parse(
    repository: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    commands = [
        (page.name, words)
        for page in documents(repository)
        for words in commands_of(page.read_text(encoding="utf-8"))
    ]
    if not commands:
        pytest.skip("the documentation has no command yet")
    for name in cli.COMMANDS:
        module = importlib.import_module(f"nightscribe.cli.{name}")
        monkeypatch.setattr(module, "execute", lambda arguments: 77)
    for page, words in commands:
        try:
            assert cli.main(words[1:]) == 77
        except SystemExit:
            pytest.fail(f"{page}: {shlex.join(words)} does not parse")


def test_settings_in_the_documentation_are_read(repository: Path) -> None:
    known = {f"NIGHTSCRIBE_{name.upper()}" for name in Settings.model_fields} | {DEMO_VARIABLE}
    known |= {f"NIGHTSCRIBE_ARCHIVE_{name.upper()}" for name in ArchiveLimits.model_fields}
    for page in documents(repository):
        named = set(re.findall(r"\bNIGHTSCRIBE_[A-Z_]*[A-Z]\b", page.read_text(encoding="utf-8")))
        assert named - known == set(), page.name
