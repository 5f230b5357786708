"""Importing the package loads nothing that scoring two files does not need."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

PROGRAM = """
import importlib, pkgutil, sys
import evaluation
names = [m.name for m in pkgutil.walk_packages(evaluation.__path__, "evaluation.")]
over_a_lake = {"evaluation.lake", "evaluation.gate.baselines"}
assert over_a_lake < set(names)
for name in sorted(set(names) - over_a_lake):
    importlib.import_module(name)
heavy = {"torch", "whisper", "airflow", "deltalake", "duckdb"}
library = {name for name in sys.modules if name.partition(".")[0] == "nightscribe"}
print(len(names), *sorted(heavy & set(sys.modules)), *sorted(library))
"""


def test_package_imports_neither_torch_nor_airflow_nor_the_lake(repository: Path) -> None:
    result = subprocess.run(
        [sys.executable, "-c", PROGRAM],
        capture_output=True,
        text=True,
        check=True,
        env=os.environ | {"PYTHONPATH": f"{repository}:{repository / 'plugins'}"},
    )
    count, *loaded = result.stdout.split()
    assert int(count) > 40
    assert set(loaded) == {
        "nightscribe",
        "nightscribe.delimited",
        "nightscribe.errors",
        "nightscribe.escaped_tsv",
        "nightscribe.flags",
        "nightscribe.languages",
        "nightscribe.splits",
        "nightscribe.text_tables",
        "nightscribe.uris",
    }
