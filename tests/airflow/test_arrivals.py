"""The nightly DAG is started when files have arrived: once, when they are whole."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from airflow.sdk import AssetOrTimeSchedule

from nightscribe.airflow.arrival_trigger import ArrivalTrigger
from nightscribe.airflow.form import nightly_schedule
from nightscribe.lake.opening import open_lake
from nightscribe.settings import Settings
from nightscribe.stages.ingest import ingest_scanned
from nightscribe.stages.run_ids import work_folder
from nightscribe.stages.scan import scan
from tests.nights import write_noise


class Watched:
    """A trigger at work, and what it has reported."""

    def __init__(self, archive: Path) -> None:
        self.trigger = ArrivalTrigger([str(archive)], 0.02)
        self.events: list[object] = []

    async def watch(self) -> None:
        async for event in self.trigger.run():
            self.events.append(event.payload)

    async def until(self, count: int) -> None:
        """Wait for this many events."""
        limit = time.monotonic() + 30
        while len(self.events) < count:
            assert time.monotonic() < limit, self.events
            await asyncio.sleep(0.01)

    async def quiet(self) -> None:
        """Wait for a while in which nothing is reported."""
        before = len(self.events)
        await asyncio.sleep(0.7)
        assert len(self.events) == before


def in_turn(archive: Path, steps: Callable[[Watched], object]) -> list[object]:
    async def both() -> list[object]:
        watched = Watched(archive)
        watching = asyncio.create_task(watched.watch())
        try:
            await steps(watched)  # type: ignore[misc]
        finally:
            watching.cancel()
        return watched.events

    return asyncio.run(both())


def read_all(archive: Path, name: str) -> None:
    lake = open_lake(Settings().lake)
    scanned = scan(
        lake,
        [str(archive)],
        name,
        settings=Settings(),
        folder=work_folder(name),
        max_specs=10,
        force=False,
    )
    for spec in scanned.specs:
        ingest_scanned(lake, spec, name, settings=Settings())


def test_arrivals_are_reported_once_and_again_when_others_come(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    archive = tmp_path / "archive"
    monkeypatch.setenv("NIGHTSCRIBE_LAKE", str(tmp_path / "lake"))
    open_lake(str(tmp_path / "lake"))

    async def steps(watched: Watched) -> None:
        await watched.quiet()  # the archive is not there yet, which is no reason to end
        write_noise(archive / "1.wav", 1)
        await watched.until(1)
        await watched.quiet()
        await asyncio.to_thread(read_all, archive, "first")
        await watched.quiet()
        write_noise(archive / "2.wav", 2)
        (archive / "notes.pdf").write_bytes(b"")
        await watched.until(2)
        before = {path: path.stat().st_mtime_ns for path in archive.iterdir()}
        await watched.quiet()
        assert {path: path.stat().st_mtime_ns for path in archive.iterdir()} == before

    assert in_turn(archive, steps) == [{"files": 1}, {"files": 1}]


def test_a_file_that_grows_is_reported_when_it_has_stopped(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    archive = tmp_path / "archive"
    archive.mkdir()
    monkeypatch.setenv("NIGHTSCRIBE_LAKE", str(tmp_path / "lake"))
    open_lake(str(tmp_path / "lake"))
    stop = threading.Event()

    def grow() -> None:
        with (archive / "long.wav").open("wb") as file:
            while not stop.is_set():
                file.write(b"audio")
                file.flush()
                time.sleep(0.005)

    async def steps(watched: Watched) -> None:
        writing = threading.Thread(target=grow)
        writing.start()
        try:
            await watched.quiet()
        finally:
            stop.set()
            writing.join()
        assert watched.events == []
        await watched.until(1)

    assert in_turn(archive, steps) == [{"files": 1}]


def test_the_first_run_makes_a_lake_that_is_not_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NIGHTSCRIBE_LAKE", str(tmp_path / "lake"))

    async def steps(watched: Watched) -> None:
        await watched.until(1)
        await watched.quiet()

    assert in_turn(tmp_path, steps) == [{"files": 1}]
    assert list(tmp_path.iterdir()) == []


def test_the_dag_watches_only_if_it_is_told_to() -> None:
    watching = {"watch_s": 60.0, "archives": ("/data/radio",)}
    assert nightly_schedule(Settings()) == "@daily"
    assert nightly_schedule(Settings(watch_s=60.0, archives=())) == "@daily"
    assert nightly_schedule(Settings(schedule="none")) is None
    both = nightly_schedule(Settings(**watching))
    assert isinstance(both, AssetOrTimeSchedule)
    [arrived] = nightly_schedule(Settings(**watching, schedule="none"))
    [watcher] = arrived.watchers
    assert watcher.trigger.serialize() == (
        "nightscribe.airflow.arrival_trigger.ArrivalTrigger",
        {"archives": ["/data/radio"], "every_s": 60.0},
    )
