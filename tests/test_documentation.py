"""The documentation names what exists: commands, queries, links, files, settings, reasons."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
from collections.abc import Iterator
from itertools import takewhile
from pathlib import Path

import pytest

from nightscribe import cli
from nightscribe.errors import Reason
from nightscribe.lake.opening import open_lake
from nightscribe.lake.reading import read
from nightscribe.lake.schema import SCHEMAS
from nightscribe.settings import ArchiveLimits, Settings
from nightscribe.whisper.checkpoints import DEMO_VARIABLE
from tests.known_names import parse_nightscribe_command

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
    docs = repository / "docs"
    return [
        repository / "README.md",
        *sorted(docs.glob("*.md")),
        *sorted((docs / "tutorials").glob("*.md")),
        *sorted((docs / "how_to").glob("*.md")),
    ]


def pages(repository: Path) -> list[Path]:
    """All pages."""
    others = (
        "CONTRIBUTING.md",
        "CHANGELOG.md",
        "SECURITY.md",
        "deploy/kubernetes/README.md",
        "models/README.md",
        "samples/README.md",
    )
    decisions = sorted((repository / "docs" / "decisions").glob("*.md"))
    return [*documents(repository), *decisions, *(repository / name for name in others)]


def commands_of(text: str) -> Iterator[list[str]]:
    """Words of each `nightscribe` command in a page's shell blocks, also inside a container."""
    for block in re.findall(r"^ *```(?:bash|sh)\n(.*?)^ *```$", text, re.DOTALL | re.M):
        for line in block.replace("\\\n", " ").splitlines():
            lexer = shlex.shlex(line, posix=True, punctuation_chars=True)
            lexer.whitespace_split = True
            words = list(takewhile(lambda word: word not in {"|", "||", ">", "&&", ";"}, lexer))
            if "nightscribe" in words[:-1]:  # the last word is the package's name
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
    for page, words in ((page, words) for page, found in commands.items() for words in found):
        parsed = parse_nightscribe_command(words[1:], monkeypatch)
        assert parsed, f"{page}: {shlex.join(words)} does not parse"


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
        read(lake, query)


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


@pytest.mark.parametrize("arguments", [("help",), ()])
def test_make_lists_every_target_with_a_line(arguments: tuple[str, ...], repository: Path) -> None:
    """Also without a target: nothing is installed before somebody has asked for it."""
    if shutil.which("make") is None:
        pytest.skip("make is not installed")
    makefile = (repository / "Makefile").read_text(encoding="utf-8")
    targets = {
        name for names in re.findall(r"^\.PHONY: (.*)$", makefile, re.M) for name in names.split()
    }
    # `make test` tells a make below it to print which folder it enters.
    outer = {name: value for name, value in os.environ.items() if not name.startswith("MAKE")}
    listed = subprocess.run(
        ["make", *arguments], cwd=repository, env=outer, capture_output=True, text=True, check=True
    ).stdout.splitlines()
    rows = [re.fullmatch(r"make ([a-z-]+) +(\S.*)", line) for line in listed]
    assert {row[1] for row in rows if row} == targets
    assert len(rows) == len(targets)


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
    folders = "benchmarks|dags|deploy|docker|docs|evaluation|models|plugins|samples|tests|tools"
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
            if field.annotation is ArchiveLimits:
                continue  # its fields have names of their own
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
