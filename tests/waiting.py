"""Wait for what a test has caused."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any


def until(what: str, look: Callable[[], Any], timeout_s: float = 120, every_s: float = 0.3) -> Any:
    """Look until something is found, and return it. AssertionError that says what did not come."""
    deadline = time.monotonic() + timeout_s
    while not (found := look()):
        assert time.monotonic() < deadline, f"waited {timeout_s} s for {what}"
        time.sleep(every_s)
    return found
