"""The notebooks run from top to bottom, and what is committed of their outputs is complete."""

from __future__ import annotations

from pathlib import Path

import nbformat
import pytest

from tools.run_notebooks import ORDER, executed

MOST_BYTES = 150_000
"""Size of a notebook with its outputs: they are read in a browser, and kept for ever."""


@pytest.fixture(scope="module")
def folder(repository: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the notebooks run: beside the samples, as in a checkout."""
    checkout = tmp_path_factory.mktemp("checkout")
    (checkout / "samples").symlink_to(repository / "samples")
    (checkout / "notebooks").mkdir()
    return checkout / "notebooks"


@pytest.mark.timeout(600)
@pytest.mark.parametrize("name", ORDER)  # in this order: the second reads the lake of the first
def test_a_notebook_runs_and_says_what_is_committed(
    name: str, repository: Path, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("NIGHTSCRIBE_LAKE", raising=False)
    path = repository / "notebooks" / f"{name}.ipynb"
    committed = nbformat.read(path, as_version=4)
    nbformat.validate(committed)
    now = executed(path, folder)
    for cell, again in zip(committed.cells, now.cells, strict=True):
        assert kinds_of(cell) == kinds_of(again), cell.source


def kinds_of(cell: nbformat.NotebookNode) -> list[list[str]]:
    """What a cell's outputs are: the stream, or the types of the data."""
    return [
        sorted(output.data) if "data" in output else [output.get("name", output.output_type)]
        for output in cell.get("outputs", ())
    ]


@pytest.mark.parametrize("name", ORDER)
def test_a_notebook_is_small_and_names_no_folder_of_a_machine(name: str, repository: Path) -> None:
    text = (repository / "notebooks" / f"{name}.ipynb").read_text(encoding="utf-8")
    assert len(text.encode()) < MOST_BYTES
    assert str(repository) not in text
    assert '"output_type": "error"' not in text


def test_every_notebook_is_run(repository: Path) -> None:
    assert {path.stem for path in (repository / "notebooks").glob("*.ipynb")} == set(ORDER)
