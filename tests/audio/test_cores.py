"""How many worker processes a device gets."""

from __future__ import annotations

import pytest

from nightscribe.audio.cores import takes_turns, workers_for


@pytest.mark.parametrize(
    ("cores", "device", "workers", "turns"),
    [
        (1, "cpu", 1, True),
        (2, "cpu", 2, True),
        (4, "cpu", 4, True),
        (8, "cpu", 2, False),
        (64, "cpu", 16, False),
        (1, "cuda", 1, False),
        (16, "cuda:1", 15, False),
    ],
)
def test_workers_leave_the_cores_to_who_needs_them(
    cores: int, device: str, workers: int, turns: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("nightscribe.audio.cores.usable_cores", lambda: cores)
    assert (workers_for(device), takes_turns(device)) == (workers, turns)
