"""Ingestion decodes in worker processes: a crash costs one row, and the order stays."""

from __future__ import annotations

import io
import os
import tarfile
import zipfile
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import av
import pyarrow as pa
import pytest

from nightscribe.audio.worker_process import Worker
from nightscribe.lake.opening import open_lake
from nightscribe.lake.reading import read
from nightscribe.lake.tables import Lake
from nightscribe.settings import Settings
from nightscribe.stages import ingest as ingestion
from nightscribe.stages import ingest_queue
from nightscribe.stages.ingest import ingest
from nightscribe.stages.ingest_queue import Ingested
from nightscribe.stages.run_ids import new_run_id, work_folder
from nightscribe.stages.scan import Scanned, scan
from tests.audio.crashes import CRASHING, crash_decoders
from tests.nights import SAMPLES, write_noise

CLIP = (SAMPLES / "english" / "en-03.ogg").read_bytes()


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    return open_lake(str(tmp_path / "lake"))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "archive").mkdir()
    return tmp_path / "archive"


def take_in(lake: Lake, folder: Path, *, force: bool = False) -> tuple[Scanned, list[Ingested]]:
    """What a night does before it plans."""
    run_id = new_run_id()
    found = scan(
        lake, [str(folder)], run_id, settings=Settings(), folder=work_folder(run_id), force=force
    )
    return found, [ingest(lake, spec, run_id, settings=Settings()) for spec in found.specs]


def rejected(lake: Lake, folder: Path) -> dict[str, tuple[str, str, str]]:
    rows = read(lake, "SELECT uri, reason, detail, recording_id FROM rejected").to_pylist()
    root = f"{folder.as_uri()}"
    return {
        row["uri"].removeprefix(root).lstrip("!/"): (
            row["reason"],
            row["detail"],
            row["recording_id"],
        )
        for row in rows
    }


def members(lake: Lake) -> list[str]:
    found: list[str] = read(lake, "SELECT member FROM sources ORDER BY member")[
        "member"
    ].to_pylist()
    return found


def workers_started(monkeypatch: pytest.MonkeyPatch) -> list[Worker]:
    started: list[Worker] = []
    start = Worker.__init__

    def counted(worker: Worker, cpu_s: int) -> None:
        started.append(worker)
        start(worker, cpu_s)

    monkeypatch.setattr(Worker, "__init__", counted)
    return started


# Crashes


@pytest.fixture
def crashing_archive(folder: Path) -> Path:
    """Files that crash the decoder first, amid others and in containers."""
    (folder / "a.wav").write_bytes(CRASHING)
    for number in range(5):
        write_noise(folder / f"b{number}.wav", seed=number)
    (folder / "c.wav").write_bytes(CRASHING + b"another")
    write_noise(folder / "d.wav", seed=9)
    with zipfile.ZipFile(folder / "e.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("bad.wav", CRASHING + b"zipped")
        archive.writestr("good.ogg", CLIP)
    noise = write_noise(folder / "noise.wav", seed=10)
    with tarfile.open(folder / "f.tar", "w") as archive:
        for name, content in (("bad.wav", CRASHING + b"tarred"), ("good.wav", noise.read_bytes())):
            info = tarfile.TarInfo(name)
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
    noise.unlink()
    return folder


CRASHES = {"a.wav", "c.wav", "e.zip!/bad.wav", "f.tar!/bad.wav"}
GOOD = [*(f"b{number}.wav" for number in range(5)), "d.wav", "good.ogg", "good.wav"]


@pytest.fixture
def crash(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    contents = [CRASHING, *(CRASHING + end for end in (b"another", b"zipped", b"tarred"))]
    crash_decoders(tmp_path / "crashes", monkeypatch, contents)


@pytest.mark.usefixtures("crash")
def test_a_crash_costs_one_row_and_all_else_is_ingested(lake: Lake, crashing_archive: Path) -> None:
    _, [done] = take_in(lake, crashing_archive)
    assert (done.files, done.recordings, done.rejected) == (12, 8, 4)
    assert members(lake) == GOOD
    rows = rejected(lake, crashing_archive)
    assert rows.keys() == CRASHES
    for reason, detail, recording_id in rows.values():
        assert reason == "unreadable"
        assert "exit status -11 (signal 11, Segmentation fault)" in detail
        assert len(recording_id) == 64


@pytest.mark.usefixtures("crash")
def test_what_crashed_is_not_tried_again_until_it_changes(
    lake: Lake, crashing_archive: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    take_in(lake, crashing_archive)
    started = workers_started(monkeypatch)
    found, _ = take_in(lake, crashing_archive)
    assert (found.new_files, found.specs) == (0, [])
    assert started == []
    assert rejected(lake, crashing_archive).keys() == CRASHES

    write_noise(crashing_archive / "a.wav", seed=20)
    _, [done] = take_in(lake, crashing_archive)
    assert (done.files, done.recordings, done.rejected) == (1, 1, 0)
    assert members(lake) == ["a.wav", *GOOD]


@pytest.mark.usefixtures("crash")
def test_what_crashed_is_tried_again_by_force(lake: Lake, folder: Path) -> None:
    (folder / "a.wav").write_bytes(CRASHING)
    take_in(lake, folder)
    _, [done] = take_in(lake, folder, force=True)
    assert (done.files, done.rejected) == (1, 1)
    assert len(rejected(lake, folder)) == 1


@pytest.mark.usefixtures("crash")
def test_copies_of_a_file_that_crashes_are_decoded_once(
    lake: Lake, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("a.wav", "b.wav", "c.wav"):
        (folder / name).write_bytes(CRASHING)
    started = workers_started(monkeypatch)
    _, [done] = take_in(lake, folder)
    assert (done.files, done.rejected) == (3, 3)
    assert rejected(lake, folder).keys() == {"a.wav", "b.wav", "c.wav"}
    assert len(started) == 1


def test_nothing_is_decoded_in_the_task_itself(
    lake: Lake, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def opened(*args: Any, **kwargs: Any) -> None:
        raise AssertionError("opened by the task")

    monkeypatch.setattr(av, "open", opened)
    write_noise(folder / "a.wav", seed=1)
    (folder / "b.ogg").write_bytes(CLIP)
    _, [done] = take_in(lake, folder)
    assert (done.recordings, done.rejected) == (2, 0)


# Order


def rows_in_order(monkeypatch: pytest.MonkeyPatch) -> dict[str, list[pa.Table]]:
    """What is written to each table, write by write."""
    written: dict[str, list[pa.Table]] = {}
    for name in ("insert_new", "upsert"):
        method = getattr(Lake, name)

        def noted(
            lake: Lake, table: str, rows: pa.Table, *args: Any, method: Any = method, **kw: Any
        ) -> Any:
            written.setdefault(table, []).append(rows)
            return method(lake, table, rows, *args, **kw)

        monkeypatch.setattr(Lake, name, noted)
    return written


def column(tables: Iterable[pa.Table], name: str) -> list[Any]:
    return [value for table in tables for value in table[name].to_pylist()]


def test_rows_keep_the_order_of_the_files_whatever_is_decoded_first(
    lake: Lake, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ingestion, "_workers_for", lambda files, size: 3)
    written = rows_in_order(monkeypatch)
    names = []
    for number in range(12):
        long = number % 4 == 0
        path = write_noise(folder / f"{number:02}.wav", number, 60.0 if long else 0.3)
        if number % 5 == 3:
            path.write_bytes(b"no audio " * 99 + bytes([number]))
        names.append(path.name)
    take_in(lake, folder)
    bad = [name for name in names if int(name[:2]) % 5 == 3]
    good = [name for name in names if name not in bad]
    assert column(written["sources"], "member") == good
    assert [uri.rpartition("/")[2] for uri in column(written["rejected"], "uri")] == bad
    durations = [60.0 if int(name[:2]) % 4 == 0 else 0.3 for name in good]
    assert column(written["recordings"], "duration_s") == durations


def test_copies_that_wait_for_the_same_decoding_are_one_recording(
    lake: Lake, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ingestion, "_workers_for", lambda files, size: 2)
    for name in ("a.wav", "b.wav", "sub/c.wav"):
        write_noise(folder / name, seed=1, seconds=60.0)
    write_noise(folder / "d.wav", seed=2)
    _, [done] = take_in(lake, folder)
    assert (done.files, done.recordings, done.already_known) == (4, 2, 2)
    assert read(lake, "SELECT count(*) AS n FROM recordings")["n"].to_pylist() == [2]
    assert members(lake) == ["a.wav", "b.wav", "d.wav", "sub/c.wav"]


def test_few_files_are_ahead_of_the_workers(
    lake: Lake, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each may be an open file or hold memory: so many, however many there are."""
    monkeypatch.setattr(ingest_queue, "_MAX_FILES", 4)
    most = 0
    append = ingest_queue.IngestQueue._append

    def watched(work: ingest_queue.IngestQueue, entry: Any) -> None:
        nonlocal most
        append(work, entry)
        most = max(most, len(work.files), work.workers.pending)

    monkeypatch.setattr(ingest_queue.IngestQueue, "_append", watched)
    for number in range(30):
        write_noise(folder / f"{number:02}.wav", seed=number, seconds=5.0)
    open_files = len(os.listdir("/proc/self/fd"))
    _, [done] = take_in(lake, folder)
    assert done.recordings == 30
    assert 0 < most < 4
    assert len(os.listdir("/proc/self/fd")) <= open_files + 2


@pytest.mark.parametrize(
    ("files", "size_bytes", "cores", "workers"),
    [
        (1, 10**9, 64, 64),
        (1, 1_000, 64, 1),
        (2_000, 2_000 * 6_400, 2, 2),
        (500, 77 * 10**6, 4, 4),
        (0, 0, 4, 1),
    ],
)
def test_workers_are_as_many_as_the_work_keeps_busy(
    files: int, size_bytes: int, cores: int, workers: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ingestion, "usable_cores", lambda: cores)
    assert ingestion._workers_for(files, size_bytes) == workers
