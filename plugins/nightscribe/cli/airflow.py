"""Put Nightscribe's DAGs into an Airflow that you have.

`install` writes a file of a few lines for each DAG, which imports it from the installed package. So
an upgrade of the package upgrades the DAGs; the files need not be written again. Run it where the
folder of DAGs is, then `nightscribe doctor` to see what this Airflow lacks.

examples:
  nightscribe airflow install --dags-folder ~/airflow/dags
  nightscribe airflow install --dags-folder /opt/airflow/dags --check
"""

from __future__ import annotations

import argparse
from importlib import resources
from pathlib import Path

from nightscribe.errors import ConfigurationError
from nightscribe.settings import Settings

_FILE = """\
# The DAG {name} of Nightscribe, for Airflow. Written by `nightscribe airflow install`.
from nightscribe.dags.{name} import DAG as dag

__all__ = ["dag"]
"""
_MARK = "Written by `nightscribe airflow install`"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the action `install`."""
    actions = parser.add_subparsers(dest="action", required=True, metavar="install")
    summary = "write a file for each DAG into Airflow's folder of DAGs"
    install = actions.add_parser("install", help=summary, description=f"{summary.capitalize()}.")
    install.add_argument(
        "--dags-folder",
        type=Path,
        required=True,
        metavar="FOLDER",
        help="Airflow's: `airflow config get-value core dags_folder` prints it; or one of a bundle",
    )
    install.add_argument(
        "--check", action="store_true", help="write nothing, and say which files are missing"
    )


def execute(arguments: argparse.Namespace) -> int:
    """Write the files; with `--check`, returns 1 if one is missing or differs."""
    folder = arguments.dags_folder.expanduser()
    if not folder.is_dir():
        raise ConfigurationError(f"there is no folder {folder}: make it, or give that of Airflow")
    wanted = {folder / f"{name}.py": _FILE.format(name=name) for name in dag_names()}
    found = {path: path.read_text(encoding="utf-8") for path in wanted if path.exists()}
    if foreign := [str(path) for path, text in found.items() if _MARK not in text]:
        raise ConfigurationError(
            f"{', '.join(foreign)}: there already, and not written by this command. Move it away, "
            "or a DAG of the same name would be there twice"
        )
    missing = [path for path, text in wanted.items() if found.get(path) != text]
    for path in missing:
        if not arguments.check:
            path.write_text(wanted[path], encoding="utf-8")
        note = ", which differed" if path in found else ""
        print(f"{'missing' if arguments.check else 'written'}: {path}{note}")
    print(f"{len(wanted) - len(missing)} of {len(wanted)} files were there already")
    if arguments.check:
        return 1 if missing else 0
    pool = Settings().pool
    print(
        f"next, in this Airflow: `airflow pools set {pool} 1 Transcription` (a slot for each GPU), "
        "NIGHTSCRIBE_LAKE and NIGHTSCRIBE_ARCHIVES as absolute paths for the workers, and "
        "`nightscribe doctor`"
    )
    return 0


def dag_names() -> list[str]:
    """The modules of `nightscribe.dags`. ConfigurationError if this is no installed package."""
    try:
        files = resources.files("nightscribe.dags").iterdir()
    except ModuleNotFoundError as error:
        raise ConfigurationError(
            "this Nightscribe is not installed, so DAG files cannot import it: pip install it"
        ) from error
    names = (Path(file.name).stem for file in files if file.name.endswith(".py"))
    return sorted(name for name in names if not name.startswith("_"))
