"""The documentation builds as a site, and a broken link fails the build."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

import nightscribe
from tools.build_site import BrokenLink, build, collect

COPIED = {"docs", "zensical.toml"}
"""Not linked: the tests change the pages, and Zensical builds beside the file that it reads."""


@pytest.fixture
def checkout(repository: Path, tmp_path: Path) -> Path:
    """A checkout whose documentation can be changed."""
    for path in repository.iterdir():
        if path.name not in {*COPIED, "build", "site"} and not path.name.startswith("."):
            (tmp_path / path.name).symlink_to(path)
    shutil.copytree(repository / "docs", tmp_path / "docs")
    shutil.copy(repository / "zensical.toml", tmp_path)
    return tmp_path


def test_the_site_has_every_page_and_the_docstrings(checkout: Path) -> None:
    collect(checkout, checkout / "build" / "site")
    assert build(checkout) == 0
    pages = {
        path.relative_to(checkout / "build" / "site").with_suffix("")
        for path in (checkout / "build" / "site").rglob("*.md")
    }
    assert len(pages) > 20
    for page in pages:
        folder = page.parent if page.name == "README" else page
        assert (checkout / "site" / folder / "index.html").is_file()
    reference = (checkout / "site/reference/python/index.html").read_text(encoding="utf-8")
    for name in nightscribe.__all__:
        assert f'id="nightscribe.{nightscribe._MODULES[name]}.{name}"' in reference
    assert "Whisper's decoding options, such as" in reference
    assert (checkout / "site/notebooks/first_steps/index.html").is_file()


@pytest.mark.parametrize("link", ["[a page](nowhere.md)", "[a module](../plugins/nowhere.py)"])
def test_a_link_to_no_file_fails_the_build(checkout: Path, link: str) -> None:
    change(checkout / "docs" / "lake.md", link)
    with pytest.raises(BrokenLink, match=r"lake\.md: .*nowhere"):
        collect(checkout, checkout / "build" / "site")


def test_a_link_to_no_heading_fails_the_build(checkout: Path) -> None:
    change(checkout / "docs" / "lake.md", "[a heading](usage.md#nowhere)")
    collect(checkout, checkout / "build" / "site")
    assert build(checkout) != 0


def change(page: Path, line: str) -> None:
    page.write_text(f"{page.read_text(encoding='utf-8')}\n{line}\n", encoding="utf-8")
