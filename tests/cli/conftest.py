"""The command line is tested with the settings that a new user has."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest


@pytest.fixture(scope="module", autouse=True)
def no_settings() -> Iterator[None]:
    """Take NIGHTSCRIBE_* out of the environment, where `make` has set some."""
    with pytest.MonkeyPatch.context() as patch:
        for name in [name for name in os.environ if name.startswith("NIGHTSCRIBE_")]:
            patch.delenv(name)
        yield
