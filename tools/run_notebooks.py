"""Run the notebooks and keep their outputs: python -m tools.run_notebooks [NOTEBOOK ...]

They run in their own folder, one after the other, in kernels of this interpreter, with a new lake.
Outputs are committed, so that the notebooks can be read where nobody runs them. What differs with
every machine, such as the times of cells and the folder of the checkout, is left out.
`--into FOLDER` runs copies and leaves the notebooks as they are.
"""

from __future__ import annotations

import argparse
import os
import shutil
import sys
from pathlib import Path

import nbformat
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError

NOTEBOOKS = Path(__file__).resolve().parents[1] / "notebooks"
ORDER = ("first_steps", "asking_an_archive", "how_good_is_it")
"""The second reads the lake of the first."""

_ANYWHERE = "/home/you/nightscribe"
"""Stands for the folder of the checkout in outputs."""

_CELL_S = 600
"""A cell that takes longer is stuck."""


def executed(path: Path, folder: Path) -> nbformat.NotebookNode:
    """The notebook with the outputs of a run in this folder. Raises `CellExecutionError`."""
    notebook = nbformat.read(path, as_version=4)
    client = NotebookClient(
        notebook,
        timeout=_CELL_S,
        kernel_name="python3",
        coalesce_streams=True,
        resources={"metadata": {"path": str(folder)}},
    )
    # `!nightscribe …` in a cell is the command of this environment.
    bin_folder = str(Path(sys.executable).parent)
    client.execute(env={**os.environ, "PATH": os.pathsep.join([bin_folder, os.environ["PATH"]])})
    for cell in notebook.cells:
        cell.metadata.pop("execution", None)
        for output in cell.get("outputs", ()):
            if output.output_type == "stream":
                output.text = output.text.replace(str(folder.resolve().parent), _ANYWHERE)
    notebook.metadata.language_info = {"name": "python"}
    return notebook


def clear(folder: Path) -> None:
    """Remove what the notebooks have made in a folder."""
    for name in ("lake", "two-models"):
        shutil.rmtree(folder / name, ignore_errors=True)
    for name in ("rounded.pt", "gate.toml"):
        (folder / name).unlink(missing_ok=True)


def main() -> int:
    """Run them; returns 1 if a cell failed."""
    assert __doc__ is not None
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    paths = [NOTEBOOKS / f"{name}.ipynb" for name in ORDER]
    parser.add_argument("notebooks", nargs="*", type=Path, default=paths)
    parser.add_argument(
        "--into",
        type=Path,
        metavar="FOLDER",
        help="where the copies go and run: a folder beside one with the samples",
    )
    arguments = parser.parse_args()
    clear(arguments.into or NOTEBOOKS)
    for path in arguments.notebooks:
        folder = arguments.into or path.parent
        print(f"{path.name} …", flush=True)
        try:
            notebook = executed(path, folder)
        except CellExecutionError as error:
            print(f"{path.name}: a cell failed:\n{error}", file=sys.stderr)
            return 1
        nbformat.write(notebook, folder / path.name)
    return 0


if __name__ == "__main__":
    sys.exit(main())
