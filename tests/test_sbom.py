"""The software bill of materials names what is installed, and nothing of the tools beside it."""

from __future__ import annotations

import json
from importlib.metadata import version
from pathlib import Path

import pytest
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator

from tools import sbom
from tools.licences import licences_of


@pytest.fixture(scope="module")
def text(tmp_path_factory: pytest.TempPathFactory) -> str:
    out = tmp_path_factory.mktemp("sbom") / "new" / "sbom.json"
    assert sbom.main([str(out)]) == 0
    return out.read_text(encoding="utf-8")


def test_it_is_a_bill_of_this_release(text: str) -> None:
    assert JsonStrictValidator(SchemaVersion.V1_6).validate_str(text) is None
    subject = json.loads(text)["metadata"]["component"]
    assert (subject["name"], subject["version"]) == ("nightscribe", version("nightscribe"))


def test_it_has_all_that_is_needed_with_version_and_licence(text: str) -> None:
    components = {one["name"].lower(): one for one in json.loads(text)["components"]}
    assert len(components) == len(licences_of("nightscribe")) - 1
    assert components["torch"]["version"] == version("torch")
    assert components["duckdb"]["licenses"]
    assert not {"pytest", "ruff", "playwright", "cyclonedx-bom"} & components.keys()


def test_every_package_is_needed_by_something(text: str) -> None:
    bill = json.loads(text)
    known = {one["bom-ref"] for one in bill["components"]}
    needed = {ref for one in bill["dependencies"] for ref in one.get("dependsOn", ())}
    assert needed == known
    subject = bill["metadata"]["component"]["bom-ref"]
    [direct] = [one["dependsOn"] for one in bill["dependencies"] if one["ref"] == subject]
    assert any(ref.startswith("duckdb==") for ref in direct)
    assert not any(ref.startswith("jsonschema==") for ref in direct)


def test_it_holds_nothing_of_this_machine(text: str, repository: Path) -> None:
    assert str(repository) not in text
    assert "file://" not in text
