"""Build the documentation as a site: python -m tools.build_site

The pages are those that can be read in the repository, at the same paths, so that their links hold
in both. This adds what is made from the code: the notebooks as pages, the help of every command,
and the docstrings of the public names. A link to a file that is no page, such as a module, becomes
its text. Any broken link fails the build.
"""

from __future__ import annotations

import contextlib
import io
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

from nbconvert import MarkdownExporter

import nightscribe
from nightscribe import cli

ROOT = Path(__file__).resolve().parents[1]

PAGES = (
    "README.md",
    "CHANGELOG.md",
    "CONTRIBUTING.md",
    "SECURITY.md",
    "deploy/kubernetes/README.md",
    "models/README.md",
    "samples/README.md",
)
"""Pages outside `docs`."""

_MEMBERS = {"Lake": ["sql"], "Order": [], "Settings": []}
"""Public members of classes that have more."""

_LINK = re.compile(r"(?<!!)\[([^\]]*)\]\(([^)#\s]+)(#[^)\s]*)?\)")


class BrokenLink(Exception):
    """A link of a page that leads nowhere."""


def collect(root: Path, folder: Path) -> None:
    """Put all pages and images of a checkout into a new folder.

    Raises `BrokenLink` for a link to a file that does not exist. Links to headings are checked when
    the site is built.
    """
    shutil.rmtree(folder, ignore_errors=True)
    documents = sorted((root / "docs").rglob("*.md"))
    pages = [*PAGES, *(str(path.relative_to(root)) for path in documents)]
    notebooks = [f"notebooks/{path.stem}" for path in sorted((root / "notebooks").glob("*.ipynb"))]
    for page in pages:
        _write(folder / page, (root / page).read_text(encoding="utf-8"))
    shutil.copytree(root / "docs" / "images", folder / "docs" / "images")
    for name in notebooks:
        _write(folder / f"{name}.md", _notebook(root / f"{name}.ipynb", folder / name))
    _write(folder / "reference/command_line.md", _command_line())
    _write(folder / "reference/python.md", _python())
    for path in folder.rglob("*.md"):
        text = path.read_text(encoding="utf-8").replace(".ipynb)", ".md)")
        source = root / path.relative_to(folder)
        text = _LINK.sub(lambda link, of=path, like=source: _kept(link, of, like), text)
        path.write_text(text, encoding="utf-8")


def build(root: Path) -> int:
    """Build the site from the pages in `build/site`; returns the exit code."""
    zensical = Path(sys.executable).with_name("zensical")
    command = [str(zensical), "build", "--strict", "--clean"]
    return subprocess.run(command, cwd=root, check=False).returncode


def _write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")


def _kept(link: re.Match[str], page: Path, source: Path) -> str:
    """The text of a link to a file of the checkout that is no page; other links as they are."""
    text, target, _ = link.groups()
    if "://" in target or (page.parent / target).is_file():
        return link[0]
    if not (source.parent / target).exists():
        raise BrokenLink(f"{source}: {target} does not exist")
    return text


def _notebook(path: Path, images: Path) -> str:
    """A notebook as a page, with its plots beside it."""
    text, resources = MarkdownExporter().from_filename(str(path))
    for name, content in resources["outputs"].items():
        images.mkdir(parents=True, exist_ok=True)
        (images / name).write_bytes(content)
    return text.replace("](output_", f"]({images.name}/output_")


def _command_line() -> str:
    """The help of `nightscribe` and of each command."""
    helps = [("nightscribe", ["--help"])]
    helps += [(f"nightscribe {name}", [name, "--help"]) for name in cli.COMMANDS]
    os.environ["COLUMNS"] = "100"
    parts = ["# Command line\n"]
    for title, arguments in helps:
        written = io.StringIO()
        with contextlib.redirect_stdout(written), contextlib.suppress(SystemExit):
            cli.main(arguments)
        parts.append(f"## {title}\n\n```text\n{written.getvalue().rstrip()}\n```\n")
    return "\n".join(parts)


def _python() -> str:
    """The docstrings of the public names."""
    parts = ["# Python", "[Use it from Python](../docs/python.md) shows how these fit together."]
    for name in nightscribe.__all__:
        part = f"::: nightscribe.{nightscribe._MODULES[name]}.{name}"
        if name in _MEMBERS:
            part += f"\n    options:\n      members: {_MEMBERS[name]}"
        parts.append(part)
    return "\n\n".join(parts) + "\n"


def main() -> int:
    """Collect and build; returns the exit code."""
    collect(ROOT, ROOT / "build" / "site")
    return build(ROOT)


if __name__ == "__main__":
    sys.exit(main())
