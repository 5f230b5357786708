"""How many cores there are, and how many worker processes a device gets."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from nightscribe.audio.cores import takes_turns, usable_cores, workers_for


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


@pytest.mark.parametrize(
    ("quota", "cores"),
    [("max", 8), ("1000000", 8), ("400000", 4), ("150000", 2), ("100000", 1), ("20000", 1)],
)
def test_a_containers_quota_bounds_the_cores(
    quota: str, cores: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("nightscribe.audio.cores._affinity_cores", lambda: 8)
    (tmp_path / "own").write_text("0::/\n")
    (tmp_path / "cpu.max").write_text(f"{quota} 100000\n")
    assert usable_cores(tmp_path, tmp_path / "own") == cores


def test_a_process_bound_to_one_core_has_one() -> None:
    allowed = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {min(allowed)})
    try:
        assert usable_cores() == 1
    finally:
        os.sched_setaffinity(0, allowed)
    assert 1 <= usable_cores() <= len(allowed)
