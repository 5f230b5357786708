"""Fixtures that more than one test folder uses."""

from __future__ import annotations

from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parents[1]


@pytest.fixture(scope="session")
def repository() -> Path:
    """Root of the checkout."""
    return REPOSITORY


@pytest.fixture(scope="session")
def demo_checkpoint(repository: Path) -> Path:
    """The small Whisper checkpoint that the project ships."""
    return repository / "models" / "demo.pt"
