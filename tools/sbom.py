"""Write a software bill of materials: what installing Nightscribe installs, as CycloneDX JSON.

    python -m tools.sbom build/sbom.json

It lists the packages of this environment that Nightscribe needs, with their versions, licences and
who needs whom; tools for development are left out. Without times and random numbers, so that the
same environment gives the same file.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from importlib.metadata import distribution
from pathlib import Path
from typing import Any

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from nightscribe import __version__
from tools.licences import licences_of

PROJECT = Path(__file__).resolve().parents[1] / "pyproject.toml"


def bill_of_materials() -> dict[str, Any]:
    """The bill, as CycloneDX 1.6 describes it."""
    command = [sys.executable, "-m", "cyclonedx_py", "environment", "--output-reproducible"]
    options = ["--spec-version", "1.6", "--no-validate", "--pyproject", str(PROJECT)]
    done = subprocess.run(
        [*command, *options, sys.executable], capture_output=True, text=True, check=True
    )
    bill: dict[str, Any] = json.loads(done.stdout)
    needed = licences_of("nightscribe").keys() - {"nightscribe"}  # which is the subject of the bill
    bill["components"] = [
        component
        for component in bill["components"]
        if canonicalize_name(component["name"]) in needed
    ]
    subject = bill["metadata"]["component"]
    subject["version"] = __version__  # the project file does not have it
    subject["purl"] = f"pkg:pypi/nightscribe@{__version__}"
    names = {component["bom-ref"]: component["name"] for component in bill["components"]}
    direct = _requirements()
    dependencies = []
    for one in bill["dependencies"]:
        is_subject = one["ref"] == subject["bom-ref"]
        if not is_subject and one["ref"] not in names:
            continue
        on = [
            ref
            for ref in one.get("dependsOn", ())
            if ref in names and (not is_subject or canonicalize_name(names[ref]) in direct)
        ]
        dependencies.append({**one, "dependsOn": on})
    bill["dependencies"] = dependencies
    return bill


def _requirements() -> set[str]:
    """The packages that Nightscribe itself names, without extras."""
    requirements = map(Requirement, distribution("nightscribe").requires or ())
    return {
        canonicalize_name(one.name)
        for one in requirements
        if one.marker is None or one.marker.evaluate({"extra": ""})
    }


def main(arguments: list[str] | None = None) -> int:
    """Write the file; returns the exit code."""
    parser = argparse.ArgumentParser(prog="python -m tools.sbom", description=__doc__)
    parser.add_argument("out", type=Path, help="the file, such as build/sbom.json")
    out: Path = parser.parse_args(arguments).out
    bill = bill_of_materials()
    out.parent.mkdir(parents=True, exist_ok=True)
    out.write_text(json.dumps(bill, indent=2) + "\n", encoding="utf-8")
    print(f"{out}: {len(bill['components'])} packages")
    return 0


if __name__ == "__main__":
    sys.exit(main())
