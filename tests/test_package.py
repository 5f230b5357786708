"""The package as a whole: what imports what, what is pinned, and what the documentation names."""

from __future__ import annotations

import importlib
import re
import shlex
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from importlib.metadata import entry_points
from itertools import takewhile
from pathlib import Path
from typing import Any

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

import nightscribe
from nightscribe import cli
from nightscribe.errors import Reason
from nightscribe.lake.schema import SCHEMAS
from nightscribe.lake.store import open_lake
from nightscribe.settings import ArchiveLimits, Settings
from nightscribe.whisper.checkpoints import DEMO_VARIABLE

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
"""The batched engine, which `engine_named` imports: its modules may import torch."""


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
    found = {"evaluation"} | {
        ".".join(("nightscribe", *path.parent.relative_to(repository / "plugins").parts[1:]))
        for path in (repository / "plugins" / "nightscribe").rglob("__init__.py")
    }
    assert found == listed


def test_the_console_script_is_installed_and_tells_the_version(repository: Path) -> None:
    [script] = entry_points(group="console_scripts", name="nightscribe")
    assert script.load() is cli.command
    program = Path(sys.executable).parent / "nightscribe"
    done = subprocess.run([program, "--version"], capture_output=True, text=True, check=True)
    assert done.stdout == f"nightscribe {nightscribe.__version__}\n"
    assert re.fullmatch(r"\d+\.\d+\.\d+\S*", nightscribe.__version__)


# What the documentation names

FEWEST_COMMANDS = {
    "README.md": 6,
    "usage.md": 8,
    "lake.md": 3,
    "evaluation.md": 7,
    "deployment.md": 2,
    "troubleshooting.md": 1,
}
"""Page → `nightscribe` commands that its code blocks have at least; fewer are not being found."""


def documents(repository: Path) -> list[Path]:
    """The pages for users."""
    return [repository / "README.md", *sorted((repository / "docs").glob("*.md"))]


def pages(repository: Path) -> list[Path]:
    """All pages."""
    others = ("CONTRIBUTING.md", "CHANGELOG.md", "models/README.md", "samples/README.md")
    return [*documents(repository), *(repository / name for name in others)]


def commands_of(text: str) -> Iterator[list[str]]:
    """Words of each `nightscribe` command in a page's shell blocks, also inside a container."""
    for block in re.findall(r"^ *```(?:bash|sh)\n(.*?)^ *```$", text, re.DOTALL | re.M):
        for line in block.replace("\\\n", " ").splitlines():
            lexer = shlex.shlex(line, posix=True, punctuation_chars=True)
            lexer.whitespace_split = True
            words = list(takewhile(lambda word: word not in {"|", ">", "&&", ";"}, lexer))
            if "nightscribe" in words:
                yield words[words.index("nightscribe") :]


def table_rows(page: Path, first: str) -> dict[str, str]:
    """Rows of a page's tables whose first cell is code that matches `first` → their second cell."""
    text = page.read_text(encoding="utf-8")
    return dict(re.findall(rf"^\| `({first})` \|([^|]*)\|", text, re.M))


def anchors_of(text: str) -> set[str]:
    """Anchors of a page's headings, as GitHub makes them."""
    headings = re.findall(r"^#+ (.*)$", text, re.M)
    return {re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings}


def test_commands_in_the_documentation_parse(
    repository: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    commands = {
        page.name: list(commands_of(page.read_text(encoding="utf-8")))
        for page in documents(repository)
    }
    for page, fewest in FEWEST_COMMANDS.items():
        assert len(commands[page]) >= fewest, f"{page}: {commands[page]}"
    for name in cli.COMMANDS:
        module = importlib.import_module(f"nightscribe.cli.{name}")
        monkeypatch.setattr(module, "execute", lambda arguments: 77)
    for page, words in ((page, words) for page, found in commands.items() for words in found):
        try:
            assert cli.main(words[1:]) == 77
        except SystemExit:
            pytest.fail(f"{page}: {shlex.join(words)} does not parse")


def test_commands_are_found_where_shell_blocks_hold_them() -> None:
    text = """
```bash
nightscribe sql "SELECT 1 > 0" > rows.csv   # the lake's rows
docker compose exec cpu-worker nightscribe models \\
  list
pip install nightscribe-tools
```
   ```sh
   nightscribe scan
   ```
```sql
nightscribe
```
"""
    assert list(commands_of(text)) == [
        ["nightscribe", "sql", "SELECT 1 > 0"],
        ["nightscribe", "models", "list"],
        ["nightscribe", "scan"],
    ]


def test_queries_in_the_documentation_run(repository: Path, tmp_path: Path) -> None:
    lake = open_lake(str(tmp_path / "lake"))
    queries = []
    for page in documents(repository):
        text = page.read_text(encoding="utf-8")
        queries += [words[-1] for words in commands_of(text) if words[1] == "sql"]
        for block in re.findall(r"^```sql\n(.*?)^```$", text, re.DOTALL | re.M):
            queries += [query for query in block.split(";") if query.strip()]
    assert len(queries) >= 12
    for query in queries:
        lake.read(query)


def test_every_command_is_documented(repository: Path) -> None:
    rows = table_rows(repository / "docs" / "usage.md", r"nightscribe \w+")
    assert set(rows) == {f"nightscribe {name}" for name in cli.COMMANDS}


def test_make_commands_in_the_documentation_exist(repository: Path) -> None:
    makefile = (repository / "Makefile").read_text(encoding="utf-8")
    targets = set(re.findall(r"^([a-z-]+):", makefile, re.M))
    texts = [page.read_text(encoding="utf-8") for page in pages(repository)]
    named = {name for text in texts for name in re.findall(r"(?:^|`)make ([a-z-]+)", text, re.M)}
    assert named >= {"demo", "test", "up", "down", "lint", "clean", "constraints"}
    assert named <= targets


def test_links_in_the_documentation_lead_somewhere(repository: Path) -> None:
    found = 0
    for page in pages(repository):
        for link in re.findall(r"\]\(([^)\s]+)\)", page.read_text(encoding="utf-8")):
            if link.startswith("https://"):
                continue
            path, _, anchor = link.partition("#")
            target = page.parent / path if path else page
            assert target.exists(), f"{page.name}: {link}"
            if anchor:
                assert anchor in anchors_of(target.read_text(encoding="utf-8")), (page.name, link)
            found += 1
    assert found > 40


def test_files_that_the_documentation_names_exist(repository: Path) -> None:
    folders = "benchmarks|dags|docker|docs|evaluation|models|plugins|samples|tests|tools"
    found = 0
    for page in pages(repository):
        text = page.read_text(encoding="utf-8")
        for path in re.findall(rf"(?<![\w/.])((?:{folders})/[\w./-]+\.\w+)", text):
            assert any((folder / path).exists() for folder in (repository, page.parent)), path
            found += 1
    assert found > 20


def test_settings_in_the_documentation_are_read(repository: Path) -> None:
    known = {f"NIGHTSCRIBE_{name.upper()}" for name in Settings.model_fields} | {DEMO_VARIABLE}
    known |= {f"NIGHTSCRIBE_ARCHIVE_{name.upper()}" for name in ArchiveLimits.model_fields}
    for page in documents(repository):
        named = set(re.findall(r"\bNIGHTSCRIBE_[A-Z_]*[A-Z]\b", page.read_text(encoding="utf-8")))
        assert named - known == set(), page.name


def test_every_setting_is_documented_with_its_default(repository: Path) -> None:
    expected = {DEMO_VARIABLE: ""}
    for settings, prefix in ((Settings, "NIGHTSCRIBE_"), (ArchiveLimits, "NIGHTSCRIBE_ARCHIVE_")):
        for name, field in settings.model_fields.items():
            default = field.default
            text = f"{default:g}" if isinstance(default, float) else str(default or "")
            expected[prefix + name.upper()] = "0" if default == 0 else text
    rows = table_rows(repository / "docs" / "configuration.md", r"NIGHTSCRIBE_\w+")
    assert {name: cell.strip(" `") for name, cell in rows.items()} == expected


def test_every_reason_for_a_rejection_is_documented(repository: Path) -> None:
    page = (repository / "docs" / "troubleshooting.md").read_text(encoding="utf-8")
    section = page.partition("| reason |")[2].partition("\n\n")[0]
    cells = re.findall(r"^\|([^|]*)\|", section, re.M)
    named = {reason for cell in cells for reason in re.findall(r"`(\w+)`", cell)}
    assert named == {reason.value for reason in Reason}


def test_every_table_is_documented(repository: Path) -> None:
    rows = table_rows(repository / "docs" / "lake.md", r"\w+")
    assert set(SCHEMAS) <= set(rows)
