"""The view `runs`: how far a run is, and when it will be done."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from nightscribe.lake.opening import open_lake
from nightscribe.lake.reading import read
from nightscribe.lake.rows import rows_of
from nightscribe.lake.tables import Lake
from tests.lake.made_up import add_batch, add_plan, attempt

BEGUN = datetime(2026, 11, 28, 2, 0, tzinfo=UTC)


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    return open_lake(str(tmp_path / "lake"))


def planned(lake: Lake, **changes: Any) -> None:
    """A plan of 10 batches of 100 s each, for two workers of which each does 10 s a second."""
    values = {"model": "m", "transcripts": 10, "audio_s": 1_000.0, "batches": 10, "workers": 2}
    add_plan(lake, BEGUN, **values | {"rtfx": 10.0} | changes)


def done(lake: Lake, number: int, after_s: float, wall_s: float, **changes: Any) -> None:
    """A batch of the run that was committed so long after the plan."""
    at = BEGUN + timedelta(seconds=after_s)
    add_batch(lake, f"b{number}", at, **{"wall_s": wall_s, "audio_s": 100.0} | changes)


def state(lake: Lake) -> dict[str, Any]:
    [row] = read(lake, "FROM runs").to_pylist()
    return row | {"seconds": row["done_at"] and (row["done_at"] - BEGUN).total_seconds()}


def test_at_first_the_end_follows_from_the_speed_of_a_worker(lake: Lake) -> None:
    planned(lake)
    found = state(lake)
    assert found["seconds"] == 1_000 / 10 / 2
    assert (found["batches_done"], found["transcripts_done"], found["audio_done_s"]) == (0, 0, 0.0)
    assert found["rtfx"] is None


def test_a_model_that_has_never_run_has_no_end_until_a_batch_is_done(lake: Lake) -> None:
    planned(lake, rtfx=None)
    assert state(lake)["done_at"] is None
    done(lake, 1, 20, 20)
    found = state(lake)
    assert found["rtfx"] == 5
    assert found["seconds"] == 20 + 900 / 5 / 2


def test_what_the_run_has_measured_counts_more_than_what_was_expected(lake: Lake) -> None:
    planned(lake)
    done(lake, 1, 50, 50)
    assert state(lake)["seconds"] == 50 + 900 / 2 / 2


def test_later_the_end_follows_from_what_the_run_has_done(lake: Lake) -> None:
    """A worker that is gone, and waits, count too: here there was one of the two."""
    planned(lake)
    for number in range(6):
        done(lake, number, 30 + 20 * (number + 1), 10)
    found = state(lake)
    assert found["batches_done"] == 6
    # 600 s of audio since the first batch began at 40 s, until 150 s.
    assert found["seconds"] == pytest.approx(150 + 400 / (600 / 110))


def test_the_end_of_a_run_that_is_done_is_its_last_commit(lake: Lake) -> None:
    planned(lake)
    for number in range(9):
        done(lake, number, 10 * (number + 1), 10)
    done(lake, 9, 123, 10, rejections=1, audio_s=0.0)  # what is rejected is not transcribed
    found = state(lake)
    assert found["batches_done"] == 10
    assert found["rejections"] == 1
    assert found["seconds"] == 123


def test_the_last_batch_has_one_worker(lake: Lake) -> None:
    planned(lake, batches=3, audio_s=300.0)
    done(lake, 1, 10, 10)
    done(lake, 2, 10, 10)
    assert state(lake)["seconds"] == 10 + 100 / 10


def test_a_batch_that_is_done_twice_counts_once(lake: Lake) -> None:
    planned(lake)
    done(lake, 1, 10, 10)
    again = {"attempt_id": "a1-again", "run_id": "run", "created_at": BEGUN}
    row = attempt("a1-again", 1) | {"batch_id": "b1", "wall_s": 10.0, "audio_s": 100.0}
    lake.append("batches", rows_of("batches", [row | again]))  # killed before its last commit
    assert state(lake)["batches_done"] == 1
    assert state(lake)["audio_done_s"] == 100


def test_nothing_but_rejections_gives_no_end_but_no_error_either(lake: Lake) -> None:
    planned(lake, rtfx=None, workers=1)
    for number in range(4):
        done(lake, number, 10, 10, rejections=1, audio_s=0.0, rtfx=0.0)
    assert state(lake)["done_at"] is None
