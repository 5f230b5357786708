"""The examples of docs/python.md give what they show."""

from __future__ import annotations

import doctest
import re
from pathlib import Path

import pytest

import nightscribe


def test_examples_of_the_page_give_what_they_show(
    repository: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "samples").symlink_to(repository / "samples")
    monkeypatch.chdir(tmp_path)
    page = repository / "docs" / "python.md"
    text = page.read_text(encoding="utf-8")
    blocks = re.findall(r"^```pycon\n(.*?)^```$", text, re.DOTALL | re.M)
    assert len(blocks) > 4
    assert text.count(">>> ") == sum(block.count(">>> ") for block in blocks)
    reported: list[str] = []
    runner = doctest.DocTestRunner()
    example = doctest.DocTestParser().get_doctest("\n".join(blocks), {}, page.name, str(page), 0)
    runner.run(example, out=reported.append)
    assert not reported, "".join(reported)


def test_the_page_lists_every_public_name(repository: Path) -> None:
    text = (repository / "docs" / "python.md").read_text(encoding="utf-8")
    table = text.partition("## What is public")[2]
    assert set(re.findall(r"`(\w+)`", table)) >= set(nightscribe.__all__)
