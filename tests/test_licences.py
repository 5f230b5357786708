"""Nothing that Nightscribe installs has a licence that would bind its users."""

from __future__ import annotations

import pytest

from tools.licences import is_allowed, licences_of


def test_every_dependency_has_a_licence_that_is_allowed() -> None:
    found = licences_of("nightscribe")
    assert {"apache-airflow", "torch", "duckdb", "deltalake", "av"} <= found.keys()
    assert len(found) > 100
    assert "httptools" in found  # by an extra of a package that is needed without one, too
    bad = {name: licence for name, licence in found.items() if not is_allowed(licence)}
    assert bad == {}


@pytest.mark.parametrize(
    ("licence", "allowed"),
    [
        ("MIT", True),
        ("Apache-2.0 WITH LLVM-exception", True),
        ("MIT AND (BSD-3-Clause)", True),
        ("AGPL-3.0-only", False),
        ("GNU General Public License (GPL)", False),
        ("MIT AND GPL-3.0-only", False),
        ("GPL-2.0-or-later OR MIT", True),
        ("", False),
    ],
)
def test_an_expression_is_read(licence: str, allowed: bool) -> None:
    assert is_allowed(licence) is allowed
