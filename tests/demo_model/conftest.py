"""What the tests of the demo checkpoint's making share."""

from __future__ import annotations

import ctypes

import pytest


@pytest.fixture(scope="session")
def espeak_library() -> None:
    """Skips where the speech synthesizer is missing."""
    try:
        ctypes.CDLL("libespeak-ng.so.1")
    except OSError:
        pytest.skip("espeak-ng is not installed")
