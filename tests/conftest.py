"""Fixtures that more than one test folder uses."""

from __future__ import annotations

import ctypes
from multiprocessing.context import ForkServerContext
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parents[1]
MINUTES = (
    "whisper/batched/test_scheduler.py",
    "airflow/test_scheduler.py",
    "demo_model/test_chain.py",
    "demo_model/test_shipped.py",
    "test_promises.py",
    "cli/test_transcribe_command.py",
)
"""Files that take minutes come first, or one process would be left with them in the end."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    order = {REPOSITORY / "tests" / name: place for place, name in enumerate(MINUTES)}
    items.sort(key=lambda item: order.get(item.path, len(order)))


@pytest.fixture(scope="session")
def repository() -> Path:
    """Root of the checkout."""
    return REPOSITORY


@pytest.fixture(scope="session")
def demo_checkpoint(repository: Path) -> Path:
    """The small Whisper checkpoint that the project ships."""
    return repository / "models" / "demo.pt"


REAL_VOICE = REPOSITORY.parent / "shared" / "audio" / "jfk.flac"
"""A recording in the public domain that is not ours to ship; tests without it skip."""


@pytest.fixture(scope="session")
def real_voice() -> Path:
    """Eleven seconds of a real voice: FLAC, 24-bit, 44.1 kHz stereo."""
    if not REAL_VOICE.is_file():
        pytest.skip(f"the recording of a real voice is not at {REAL_VOICE}")
    return REAL_VOICE


@pytest.fixture(scope="session")
def nights() -> ForkServerContext:
    """Starts processes that have torch and whisper imported from the start."""
    from tests.nights import night_context

    return night_context()


@pytest.fixture(scope="session")
def espeak_library() -> None:
    """Skips where the speech synthesizer is missing."""
    try:
        ctypes.CDLL("libespeak-ng.so.1")
    except OSError:
        pytest.skip("espeak-ng is not installed")


@pytest.fixture
def bfloat16() -> str:
    """The precision, on a CPU that computes in it."""
    from nightscribe.errors import ConfigurationError
    from nightscribe.whisper.devices import pick_precision

    try:
        return pick_precision("bfloat16", "cpu")
    except ConfigurationError as error:
        pytest.skip(str(error))
