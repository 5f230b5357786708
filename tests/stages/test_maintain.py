"""Maintenance makes a lake small, changes no row that a view shows, and may run beside anything."""

from __future__ import annotations

import os
import signal
import sys
from datetime import UTC, datetime, timedelta
from multiprocessing.context import ForkServerContext
from multiprocessing.synchronize import Event
from pathlib import Path

import duckdb
import pytest

from nightscribe.errors import ConfigurationError
from nightscribe.lake.invariants import check
from nightscribe.lake.opening import open_lake
from nightscribe.lake.reading import connect, count_rows
from nightscribe.lake.schema import SCHEMAS
from nightscribe.lake.tables import Lake
from nightscribe.lake.views import VIEWS
from nightscribe.settings import Settings
from nightscribe.stages.maintain import maintain
from nightscribe.stages.publish import publish
from tests.lake.made_up import add, commit, filled
from tests.nights import AT_ONCE
from tools.made_up_nights import make_lake
from tools.measure_nights import checked, forgotten, maintained, measured

RECORDINGS = "abcdefgh"


def commits(lake: Lake, count: int, first: int = 0) -> None:
    """Commits of so many nights, which replace a transcript each; one in five is killed."""
    for night in range(first, first + count):
        commit(lake, f"n{night}", RECORDINGS[night % len(RECORDINGS)], finish=night % 5 != 4)


def new_lake(folder: Path) -> Lake:
    lake = open_lake(str(folder / "lake"))
    add(lake, "recordings", *(filled("recordings", recording_id=one) for one in RECORDINGS))
    commit(lake, "first", RECORDINGS)
    return lake


def shown(lake: Lake) -> dict[str, list[str]]:
    """All rows of all views."""
    with connect(lake) as connection:
        return {
            name: sorted(str(row) for row in connection.execute(f'FROM "{name}"').fetchall())
            for name in VIEWS
        }


def test_a_maintained_lake_is_small_and_shows_the_same(tmp_path: Path) -> None:
    lake = new_lake(tmp_path)
    commits(lake, 10)
    for score_id, days in (("old", 100), ("recent", 10), ("newest", 0)):
        ended = datetime.now(UTC) - timedelta(days=days)
        add(lake, "scores", filled("scores", score_id=score_id) | {"created_at": ended})
        add(lake, "utterance_errors", filled("utterance_errors", score_id=score_id))
    lake.put_file("_plans/a-run/scan.parquet", b"spec")
    unfinished = tmp_path / "lake" / f".{0:016x}.tmp"
    unfinished.write_bytes(b"half")
    publish(lake)
    before = shown(lake)
    stale = tmp_path / "lake" / "segments" / "part-00000-of-a-killed-writer.parquet"
    stale.write_bytes(b"PAR1")
    os.utime(stale, (0, 0))
    lines: list[str] = []
    done = maintain(lake, AT_ONCE, "run", say=lines.append)
    after = shown(lake)
    del before["utterance_errors"], after["utterance_errors"]
    assert after == before
    assert done.orphans == {"segments": 2, "batches": 2}
    assert done.errors == 1
    assert not done.busy
    assert not stale.exists()
    assert not unfinished.exists()
    assert not list((tmp_path / "lake" / "_plans").rglob("*.parquet"))
    for name in SCHEMAS:
        live = set(lake.files(name, lake.table(name)))
        assert len(live) <= 1, name
        assert live == {str(path) for path in (tmp_path / "lake" / name).glob("*.parquet")}
    assert len(lines) == len(SCHEMAS)
    assert "41 live files" not in done.summary()
    with duckdb.connect(f"{lake.uri}/catalog.duckdb", read_only=True) as catalog:
        [(count,)] = catalog.execute("SELECT count(*) FROM segments").fetchall()
    assert count == len(before["segments"])
    assert check(lake) == []
    # The next nights go on as if nothing had been, and so does the next maintenance.
    commits(lake, 5, 10)
    publish(lake)
    assert check(lake) == []
    assert maintain(lake, AT_ONCE, "run").orphans == {"segments": 1, "batches": 1}
    assert check(lake) == []


def test_nothing_that_a_run_or_a_reader_may_still_need_is_removed(tmp_path: Path) -> None:
    lake = new_lake(tmp_path)
    commits(lake, 5)
    publish(lake)
    lake.put_file("_plans/a-run/scan.parquet", b"spec")
    rows, files = shown(lake), {str(path) for path in (tmp_path / "lake").glob("*/*.parquet")}
    with duckdb.connect(f"{lake.uri}/catalog.duckdb", read_only=True) as catalog:
        opened = catalog.execute("SELECT count(*) FROM segments").fetchall()
        done = maintain(lake, Settings(), "run")
        assert catalog.execute("SELECT count(*) FROM segments").fetchall() == opened
    assert (done.orphans, done.files, sum(one.removed for one in done.tables)) == ({}, 0, 0)
    assert files <= {str(path) for path in (tmp_path / "lake").glob("*/*.parquet")}
    assert shown(lake) == rows
    again = maintain(lake, Settings(), "run")
    assert [one.before.files for one in again.tables] == [one.after.files for one in again.tables]


def test_files_are_kept_for_longer_than_a_batch_may_take(tmp_path: Path) -> None:
    lake = new_lake(tmp_path)
    settings = Settings().model_copy(update={"keep_days": 1.0, "batch_hours_max": 30.0})
    with pytest.raises(ConfigurationError, match="NIGHTSCRIBE_KEEP_DAYS=1: a batch may take 30"):
        maintain(lake, settings, "run")


def work(uri: str, name: str, recordings: str, ready: Event) -> None:
    """Transcribes each recording twice, as a worker with `force` does."""
    lake = open_lake(uri)
    ready.wait()
    for night in range(2):
        for one in recordings:
            commit(lake, f"{name}{night}{one}", one)
        publish(lake)


def test_beside_runs_that_commit_all_the_time_nothing_is_lost(
    tmp_path: Path, nights: ForkServerContext
) -> None:
    lake = new_lake(tmp_path)
    commits(lake, 5)
    ready = nights.Event()
    workers = [
        nights.Process(target=work, args=(lake.uri, name, recordings, ready))
        for name, recordings in (("x", RECORDINGS[:4]), ("y", RECORDINGS[4:]))
    ]
    for worker in workers:
        worker.start()
    ready.set()
    rounds = 0
    while any(worker.is_alive() for worker in workers):
        maintain(lake, Settings(), "run")
        rounds += 1
    assert [worker.exitcode for worker in workers] == [0, 0]
    assert rounds
    maintain(lake, AT_ONCE, "run")
    assert check(lake) == []
    with connect(lake) as connection:
        rows = connection.execute("SELECT recording_id, transcript_id FROM transcripts").fetchall()
    assert sorted(rows) == [
        (one, f"{one}-{'x' if one in RECORDINGS[:4] else 'y'}1{one}") for one in RECORDINGS
    ]


def test_the_measured_lake_is_one_that_nights_could_have_left(tmp_path: Path) -> None:
    uri = str(tmp_path / "lake")
    make_lake(uri, 1, 12, 2)
    assert check(open_lake(uri)) == []
    before = measured(uri)
    assert maintained(uri)["seconds"] > 0
    after = measured(uri)
    assert before.keys() == after.keys()
    assert after["files"] < before["files"]
    lake = open_lake(uri)
    assert len(lake.files("segments", lake.table("segments"))) == 2  # one is of the measurement
    assert check(lake) == []
    assert checked(uri)["seconds"] > 0
    assert forgotten(uri, "2")["files"] > 0
    assert count_rows(open_lake(uri))["recordings"] == 22


def die(*_: object, **__: object) -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def maintain_until(uri: str, step: str, place: str) -> None:
    """Maintenance that is killed when it calls a function."""
    sys.modules["nightscribe.stages.maintain"].__dict__["_SHORT_LOG"] = 0
    setattr(sys.modules[place], step, die)
    maintain(open_lake(uri), AT_ONCE, "run")


STEPS = (
    ("remove_old_files", "nightscribe.stages.maintain"),
    ("compact", "nightscribe.stages.maintain"),
    ("shorten_log", "nightscribe.stages.maintain"),
    ("publish", "nightscribe.stages.maintain"),
    ("vacuum", "nightscribe.stages.maintain"),
    ("size_of", "nightscribe.stages.maintain"),
)


def test_maintenance_that_is_killed_leaves_a_lake_that_is_whole(
    tmp_path: Path, nights: ForkServerContext
) -> None:
    lake = new_lake(tmp_path)
    commits(lake, 6)
    rows = {name: shown(lake)[name] for name in ("transcripts", "segments")}
    for step, place in STEPS:
        process = nights.Process(target=maintain_until, args=(lake.uri, step, place))
        process.start()
        process.join(60)
        assert process.exitcode == -signal.SIGKILL, step
        assert check(lake) == [], step
        assert {name: shown(lake)[name] for name in rows} == rows, step
    maintain(lake, AT_ONCE, "run")
    assert check(lake) == []
    assert all(one.after.files <= 1 for one in maintain(lake, AT_ONCE, "run").tables)
