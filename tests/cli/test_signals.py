"""Ctrl-C and SIGTERM end every command within a second; nothing is half written, no process stays.

Each command is stopped where it takes long: in a query, in a listing, while workers decode.
"""

from __future__ import annotations

import os
import signal
import struct
import subprocess
import sys
import threading
import time
import wave
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from nightscribe.lake.opening import open_lake
from nightscribe.lake.reading import count_rows

PROGRAM = """
import signal, sys
signal.signal(signal.SIGINT, signal.default_int_handler)
from nightscribe.cli import command
import threading, time, os
def say(): time.sleep(0.1); os.write(1, b"READY\\n")
{prepare}
command()
"""

LONG_QUERY = "SELECT count(*) FROM range(1000000) a, range(10000000) b WHERE a.range*b.range%7=3"
LONG_ROWS = "SELECT range, repeat('x', 100) AS x FROM range(300000000)"


@pytest.fixture(scope="module", autouse=True)
def importable(no_settings: None, repository: Path) -> Iterator[None]:
    """Processes of their own find the package as this one does."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", os.pathsep.join([str(repository / "plugins"), str(repository)]))
        yield


@pytest.fixture(scope="module")
def lake(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("lakes") / "lake"
    open_lake(str(folder))
    return folder


def first_call(of: str) -> str:
    """A program that says READY soon after a function is called."""
    module, _, name = of.partition(":")
    owner, _, attribute = name.rpartition(".")
    place = f"importlib.import_module('{module}')" + (f".{owner}" if owner else "")
    return f"""
import importlib
owner = {place}
real = getattr(owner, '{attribute}')
def called(*a, **k):
    setattr(owner, '{attribute}', real)
    threading.Thread(target=say, daemon=True).start()
    return real(*a, **k)
setattr(owner, '{attribute}', called)
"""


class Stopped:
    """A command that a signal has stopped."""

    def __init__(
        self,
        arguments: list[object],
        folder: Path,
        number: signal.Signals,
        *,
        group: bool,
        prepare: str,
    ) -> None:
        temporary = folder / "tmp"
        temporary.mkdir()
        process = subprocess.Popen(
            [
                sys.executable,
                "-c",
                PROGRAM.format(prepare=prepare),
                *map(str, arguments),
            ],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            stdin=subprocess.DEVNULL,
            env={**os.environ, "TMPDIR": str(temporary), "OMP_NUM_THREADS": "1"},
            start_new_session=True,
        )
        assert process.stdout is not None
        for line in process.stdout:
            if line == b"READY\n":
                break
        else:
            assert process.stderr is not None
            raise AssertionError(process.stderr.read().decode())
        self.workers = psutil.Process(process.pid).children(recursive=True)
        started = time.monotonic()
        (os.killpg if group else os.kill)(process.pid, number)
        reading = threading.Thread(target=lambda: process.stdout.read(), daemon=True)  # type: ignore[union-attr]
        reading.start()
        self.code = process.wait(30)
        self.seconds = time.monotonic() - started
        assert process.stderr is not None
        self.err = process.stderr.read().decode()
        self.left = os.listdir(temporary)

    def check(self, number: signal.Signals) -> None:
        assert self.code == 128 + number, self.err
        # A busy machine takes longer to end a process; uninterrupted, all of them take minutes.
        assert self.seconds < 3, self.seconds
        word = "interrupted" if number == signal.SIGINT else "terminated"
        assert self.err.splitlines()[-1] == word, self.err
        assert "Traceback" not in self.err
        _, alive = psutil.wait_procs(self.workers, 5)
        assert not alive
        assert self.left == []


WAYS = [
    pytest.param(signal.SIGINT, False, id="ctrl-c"),
    pytest.param(signal.SIGINT, True, id="ctrl-c of the group"),
    pytest.param(signal.SIGTERM, False, id="sigterm"),
]


@pytest.mark.parametrize(("number", "group"), [WAYS[0], WAYS[2]])
def test_a_query_ends(number: signal.Signals, group: bool, lake: Path, tmp_path: Path) -> None:
    query = ["sql", "--lake", lake, "--format", "csv", LONG_QUERY]
    after = first_call("nightscribe.lake.reading:query")
    Stopped(query, tmp_path, number, group=group, prepare=after).check(number)


def test_rows_that_are_written_to_a_file_leave_no_part_of_it(lake: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    out.mkdir()
    (out / "rows.csv").write_text("of yesterday\n")
    query = ["sql", "--lake", lake, "--format", "csv", "-o", out / "rows.csv", LONG_ROWS]
    after = first_call("nightscribe.lake.reading:query")
    Stopped(query, tmp_path, signal.SIGINT, group=False, prepare=after).check(signal.SIGINT)
    assert os.listdir(out) == ["rows.csv"]
    assert (out / "rows.csv").read_text() == "of yesterday\n"


@pytest.fixture(scope="module")
def tree(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of many files, which take long to list."""
    folder = tmp_path_factory.mktemp("tree")
    for number in range(40):
        (folder / str(number)).mkdir()
        for name in range(250):
            (folder / str(number) / f"{name}.wav").touch()
    return folder


@pytest.mark.parametrize(("number", "group"), WAYS[1:2])
def test_a_scan_ends(
    number: signal.Signals, group: bool, tree: Path, lake: Path, tmp_path: Path
) -> None:
    scan = ["scan", "--archives", tree, tree / "0", tree / "1", "--lake", lake]
    after = first_call("nightscribe.stages.new_files:list_files")
    Stopped(scan, tmp_path, number, group=group, prepare=after).check(number)


def write_silence(path: Path) -> None:
    """A WAV of two hours, which takes little room on the disk and long to decode."""
    path.parent.mkdir(exist_ok=True)
    with wave.open(str(path), "wb") as file:
        file.setparams((1, 2, 16_000, 0, "NONE", ""))
        file.writeframes(b"")
    size = 2 * 3600 * 32_000
    with path.open("r+b") as content:
        content.seek(4)
        content.write(struct.pack("<I", 36 + size))
        content.seek(40)
        content.write(struct.pack("<I", size))
        content.truncate(44 + size)


@pytest.mark.parametrize(("number", "group"), WAYS[1:])
def test_ingestion_ends_with_its_workers(
    number: signal.Signals, group: bool, tmp_path: Path
) -> None:
    archive, lake = tmp_path / "archive", tmp_path / "lake"
    for name in ("a.wav", "b.wav"):
        write_silence(archive / name)
    run = ["run", "--archives", archive, "--lake", lake, "--model", "demo"]
    after = first_call("nightscribe.audio.workers:Workers.finished")
    stopped = Stopped(run, tmp_path, number, group=group, prepare=after)
    stopped.check(number)
    assert stopped.workers
    assert count_rows(open_lake(str(lake)), ["sources"]) == {"sources": 0}


def test_a_command_that_is_killed_leaves_no_worker(tmp_path: Path) -> None:
    archive, lake = tmp_path / "archive", tmp_path / "lake"
    write_silence(archive / "long.wav")
    run = ["run", "--archives", archive, "--lake", lake, "--model", "demo"]
    after = first_call("nightscribe.audio.workers:Workers.finished")
    stopped = Stopped(run, tmp_path, signal.SIGKILL, group=False, prepare=after)
    assert stopped.workers
    _, alive = psutil.wait_procs(stopped.workers, 5)
    assert not alive
