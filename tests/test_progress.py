"""Progress promises no end before something is done."""

from __future__ import annotations

import time

import pytest

from nightscribe.progress import Progress


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The time, s, which a test sets."""
    now = [0.0]
    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    return now


def test_there_is_no_eta_before_anything_is_done(clock: list[float]) -> None:
    progress = Progress("transcribe", 3, 300.0, "audio")
    clock[0] = 50.0
    assert "ETA" not in progress.line()
    progress.drop(100.0)  # it failed
    clock[0] = 60.0
    assert "ETA" not in progress.line()
    assert "1/3, 0.0 s of 3 min 20 s" in progress.line()


def test_there_is_no_eta_from_an_instant(clock: list[float]) -> None:
    progress = Progress("ingest", 3, 300.0, "MB")
    clock[0] = 0.001
    progress.add(1.0)
    assert "ETA" not in progress.line()
    clock[0] = 2.0
    assert progress.line().endswith("ETA 9 min 58 s")


def test_what_failed_is_not_left_to_do(clock: list[float]) -> None:
    progress = Progress("transcribe", 3, 300.0, "audio")
    clock[0] = 10.0
    progress.add(100.0)
    assert progress.line().endswith("ETA 20.0 s")
    progress.drop(100.0)
    assert progress.line().endswith("ETA 10.0 s")
    progress.drop(100.0)
    assert progress.line().endswith(
        "3/3, 1 min 40 s of 1 min 40 s of audio, RTFx 10.0, 10.0 s elapsed"
    )


def test_the_last_line_has_no_eta_though_something_is_left(
    clock: list[float], caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level("INFO"), Progress("transcribe", 3, 300.0, "audio") as progress:
        clock[0] = 10.0
        progress.add(100.0)
    assert caplog.messages[-1].endswith("RTFx 10.0, 10.0 s elapsed")
