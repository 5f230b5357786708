"""The command line is tested with the settings that a new user has, and one thread."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest
import torch


@pytest.fixture(scope="module", autouse=True)
def no_settings() -> Iterator[None]:
    """Take NIGHTSCRIBE_* out of the environment, where `make` has set some."""
    with pytest.MonkeyPatch.context() as patch:
        for name in [name for name in os.environ if name.startswith("NIGHTSCRIBE_")]:
            patch.delenv(name)
        yield


@pytest.fixture(scope="module", autouse=True)
def one_thread() -> Iterator[None]:
    """The demo model is too small to gain from more, and the same number gives the same digits."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)
