"""How long pending transcripts take: from measured speeds, and compared with what runs took."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nightscribe.lake.opening import open_lake
from nightscribe.lake.reading import read
from nightscribe.lake.tables import Lake
from nightscribe.stages.estimate import BESIDES_S, besides_s, estimate, measured_speeds
from tests.lake.made_up import add_batch, add_plan

BEGUN = datetime(2026, 11, 28, 2, 0, tzinfo=UTC)


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    return open_lake(str(tmp_path / "lake"))


def batch(
    lake: Lake, name: str, after_s: float, audio_s: float, wall_s: float, device: str = "cpu"
) -> None:
    at = BEGUN + timedelta(seconds=after_s)
    add_batch(lake, name, at, audio_s=audio_s, wall_s=wall_s, device=device)


def test_a_speed_is_all_audio_over_all_time(lake: Lake) -> None:
    batch(lake, "short", 1, audio_s=10, wall_s=10)
    batch(lake, "long", 2, audio_s=990, wall_s=90)
    [speed] = measured_speeds(lake)
    assert (speed.model, speed.device, speed.batches) == ("demo", "cpu", 2)
    assert speed.rtfx == 10.0
    assert (speed.low, speed.high) == (None, None)


def test_the_interval_covers_what_batches_reach(lake: Lake) -> None:
    for number, wall_s in enumerate([8.0, 10.0, 12.0, 10.0, 9.0, 11.0]):
        batch(lake, f"b{number}", number, audio_s=100, wall_s=wall_s)
    [speed] = measured_speeds(lake)
    assert speed.low is not None
    assert speed.high is not None
    assert 100 / 12 < speed.low < speed.rtfx == 10.0 < speed.high < 100 / 8


def test_only_the_kind_of_device_of_the_newest_batch_counts(lake: Lake) -> None:
    batch(lake, "cpu", 1, audio_s=100, wall_s=100)
    batch(lake, "gpu", 2, audio_s=100, wall_s=1, device="NVIDIA H200")
    [speed] = measured_speeds(lake)
    assert (speed.device, speed.rtfx, speed.batches) == ("NVIDIA H200", 100.0, 1)


def test_a_lake_without_batches_has_no_speeds(lake: Lake) -> None:
    assert measured_speeds(lake) == []
    assert besides_s(lake) == BESIDES_S


def test_what_a_batch_takes_besides_comes_from_complete_runs(lake: Lake) -> None:
    add_plan(lake, BEGUN, batches=2, workers=1, audio_s=200.0)
    batch(lake, "b1", 15, audio_s=100, wall_s=10)
    assert besides_s(lake) == BESIDES_S  # half of the run is missing
    batch(lake, "b2", 30, audio_s=100, wall_s=10)
    assert besides_s(lake) == (30 - 20) / 2
    [run] = read(lake, "SELECT took_s, expected_s FROM runs").to_pylist()
    assert run == {"took_s": 30.0, "expected_s": None}


def test_workers_without_a_batch_do_not_help(lake: Lake) -> None:
    add_plan(lake, BEGUN, batches=1, workers=8, audio_s=100.0)
    batch(lake, "b1", 14, audio_s=100, wall_s=10)
    assert besides_s(lake) == 4.0
    assert estimate(100, 1, 8, 4.0, 10.0) == estimate(100, 1, 1, 4.0, 10.0)


@given(
    audio_s=st.floats(0, 1e9),
    batches=st.integers(1, 1000),
    workers=st.integers(1, 1000),
    besides=st.floats(0, 100),
    speeds=st.lists(st.floats(0.1, 1e4), min_size=3, max_size=3).map(sorted),
)
def test_more_workers_and_speed_never_take_longer(
    audio_s: float, batches: int, workers: int, besides: float, speeds: list[float]
) -> None:
    low, rtfx, high = speeds
    time = estimate(audio_s, batches, workers, besides, rtfx, low, high)
    assert time.shortest_s is not None
    assert time.longest_s is not None
    assert time.shortest_s <= time.expected_s <= time.longest_s
    more = estimate(audio_s, batches, workers + 1, besides, rtfx)
    assert more.expected_s <= time.expected_s
    assert time.expected_s >= audio_s / rtfx / workers * (1 - 1e-9)
