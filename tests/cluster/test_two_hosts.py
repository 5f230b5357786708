"""What the design promises of a lake, with the lake on S3 and runs on two machines at once.

The two share the object store, and the software to read; the clock of the second is 5 minutes
ahead. For one machine and a folder, see tests/test_promises.py.
"""

from __future__ import annotations

import contextlib
import os
import random
import shutil
import subprocess
import sys
import tarfile
import tempfile
import time
import wave
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy
import psutil
import pyarrow as pa
import pytest

from nightscribe.lake.invariants import check
from nightscribe.lake.opening import open_lake
from nightscribe.lake.reading import count_rows, read
from tests.cluster import container, host
from tests.cluster.archive import KEYS, uploaded
from tests.cluster.container import Container
from tests.cluster.host import Host
from tests.compose_file import REPOSITORY
from tests.faulty_requests import FaultyRequests
from tests.nights import SAMPLES, archive_of, assert_same_tables, contents, visible_batches
from tests.preloaded import clock_ahead

CLIPS = ("english/en-01.flac", "english/en-02.mp3", "english/en-03.ogg", "english/en-04.wav")
SEVERAL_BATCHES = {"NIGHTSCRIBE_EXPECTED_RTFX": "1", "NIGHTSCRIBE_BATCH_MINUTES": "0.15"}
ONE_EACH = SEVERAL_BATCHES | {"NIGHTSCRIBE_BATCH_MINUTES": "0.01"}


@dataclass
class Machines:
    """Two machines, the store that they share, and variables of the second one's clock."""

    folder: Path
    hosts: list[Host]
    s3: Any
    ahead: Mapping[str, str]
    begun: list[Container] = field(default_factory=list)

    def start(
        self, machine: int, lake: str, archive: str, more: Mapping[str, str] = SEVERAL_BATCHES
    ) -> Container:
        """Start a night on one of them."""
        name = f"night-{len(self.begun)}"
        home = self.folder / name
        environment = {
            **KEYS,
            "AWS_ENDPOINT_URL": os.environ["AWS_ENDPOINT_URL"],
            "PATH": os.environ["PATH"],
            "PYTHONPATH": os.pathsep.join([f"{REPOSITORY}/plugins", str(REPOSITORY)]),
            "HOME": str(home),
            "NIGHTSCRIBE_MODEL_DIR": str(home),
            "NIGHTSCRIBE_INDEX": str(home / "index"),
            "NIGHTSCRIBE_THREADS": "1",
            **(self.ahead if machine else {}),
            **more,
        }
        arguments = ["--archives", archive, "--lake", lake, "--model", "demo", "--language", "en"]
        arguments += ["--option", "temperature=0"]
        command = [sys.executable, "-P", "-m", "nightscribe", "run", "--device", "cpu", *arguments]
        night = Container(
            name,
            command,
            environment,
            home,
            [],
            hosts=self.folder / "hosts",
            host=self.hosts[machine],
        )
        night.start()
        self.begun.append(night)
        return night

    def finish(self, *nights: Container) -> None:
        """Wait for nights to end well: with 1 if they found files that cannot be used."""
        for night in nights:
            code = night.wait(120)
            log = (night.folder / "log").read_text()
            assert code in (0, 1), log
            assert log.rstrip().rpartition("\n")[2].startswith("catalog: "), log

    def end(self) -> None:
        """End what is left of the nights, also of failed tests."""
        for night in self.begun:
            night.kill(restart=False)

    def state(self) -> dict[str, str]:
        """All objects of the archives, with their digests."""
        pages = self.s3.get_paginator("list_objects_v2").paginate(Bucket="archives")
        return {one["Key"]: one["ETag"] for page in pages for one in page.get("Contents", [])}


@pytest.fixture(scope="module")
def machines() -> Iterator[Machines]:
    why = container.missing() or host.missing()
    if why and not os.environ.get("CLUSTER_REQUIRED"):
        pytest.skip(why)
    assert why is None
    import boto3

    with ExitStack() as stack:
        patch = stack.enter_context(pytest.MonkeyPatch.context())
        store = FaultyRequests()
        stack.callback(store.close)
        for name, value in {**KEYS, "AWS_ENDPOINT_URL": store.url}.items():
            patch.setenv(name, value)
        s3 = boto3.client("s3")
        for bucket in ("archives", "lakes"):
            s3.create_bucket(Bucket=bucket)
        folder = Path(tempfile.mkdtemp(prefix="nightscribe-hosts-"))
        stack.callback(shutil.rmtree, folder)
        (folder / "hosts").write_text("127.0.0.1 localhost\n")
        port = int(store.url.rpartition(":")[2])
        hosts = [stack.enter_context(Host(name, folder, [port])) for name in ("first", "second")]
        libraries = Path(tempfile.mkdtemp(prefix="nightscribe-clock-"))
        stack.callback(shutil.rmtree, libraries)
        ahead = clock_ahead(libraries)
        assert ahead or not os.environ.get("CLUSTER_REQUIRED"), "needs a C compiler"
        made = Machines(folder, hosts, s3, ahead)
        stack.callback(made.end)
        yield made


@pytest.fixture(scope="module")
def archive(machines: Machines, tmp_path_factory: pytest.TempPathFactory) -> str:
    """Four clips, a manifest, and a file that is no audio."""
    folder = archive_of(tmp_path_factory.mktemp("hosts") / "archive", CLIPS)
    (folder / "notes.mp3").write_text("milk, eggs, flour")
    (folder / "manifest.csv").write_text(
        "path,language,text,speaker\nen-01.flac,en,The doctor is looking.,a\nlost.wav,en,Gone.,b\n"
    )
    return uploaded(folder, "archives", "all")


@pytest.fixture(scope="module")
def undisturbed(machines: Machines, archive: str) -> tuple[dict[str, pa.Table], float]:
    """The tables of a run that nothing disturbed, and how many seconds it took."""
    begun = time.monotonic()
    machines.finish(machines.start(0, "s3://lakes/undisturbed", archive))
    seconds = time.monotonic() - begun
    tables = contents("s3://lakes/undisturbed")
    assert tables["transcripts"].num_rows == len(CLIPS)
    assert tables["rejected"].num_rows == 2
    return tables, seconds


def test_the_clock_of_the_second_machine_is_ahead(machines: Machines) -> None:
    if not machines.ahead:
        pytest.skip("needs a C compiler")
    command = [sys.executable, "-c", "import time; print(time.time())"]
    environment = {**os.environ, **machines.ahead}
    said = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    assert 299 < float(said.stdout) - time.time() < 301


def test_1_recordings_are_known_by_their_content(machines: Machines, tmp_path: Path) -> None:
    """The same two recordings, each machine finds them under other names."""
    plain = uploaded(archive_of(tmp_path / "plain", CLIPS[:2]), "archives", "plain")
    with tarfile.open(tmp_path / "packed.tar.gz", "w:gz") as packed:
        packed.add(SAMPLES / CLIPS[0], "renamed.flac")
        packed.add(SAMPLES / CLIPS[1], "deep/er/moved.mp3")
    machines.s3.upload_file(str(tmp_path / "packed.tar.gz"), "archives", "packed.tar.gz")
    lake = "s3://lakes/content"
    machines.finish(
        machines.start(0, lake, plain), machines.start(1, lake, "s3://archives/packed.tar.gz")
    )
    counts = count_rows(open_lake(lake), ("recordings", "transcripts", "sources"))
    assert counts == {"recordings": 2, "transcripts": 2, "sources": 4}


@pytest.mark.timeout(900)  # the nights wait while the reader looks
def test_2_3_5_6_runs_that_race_make_the_tables_of_one_run(
    machines: Machines, archive: str, undisturbed: tuple[dict[str, pa.Table], float]
) -> None:
    """Each transcript once; batches as a whole or not at all; one row of what is no audio."""
    before = machines.state()
    lake = "s3://lakes/race"
    racing = [machines.start(machine, lake, archive, ONE_EACH) for machine in (0, 1)]
    until_there_are_processes(racing)
    while not any("scan: " in (night.folder / "log").read_text() for night in racing):
        time.sleep(0.1)  # until one of them has made the lake
    seen = set()
    opened = open_lake(lake)
    while any(night.processes() for night in racing):
        for night in racing:  # wherever they are: however slow the reader is, it looks in between
            night.freeze()
        visible, torn, unfinished = visible_batches(opened)
        for night in racing:
            night.thaw()
        assert torn == 0, "transcripts without all of their segments"
        assert unfinished == 0, "batches without all of their transcripts"
        seen.add(visible)
        time.sleep(2)  # less than the nights need for two batches
    machines.finish(*racing)
    assert_same_tables(contents(lake), undisturbed[0])
    assert check(opened) == []
    assert seen - {0, max(seen)}, "the reader never looked in between"
    attempts = read(opened, "SELECT worker FROM files.batches")["worker"].to_pylist()
    assert {worker.partition(":")[0] for worker in attempts} == {one.name for one in racing}
    assert machines.state() == before
    # Of their disks, only one folder can be written.
    for machine in machines.hosts:
        assert subprocess.run([*machine.enter, "touch", str(REPOSITORY / "x")]).returncode
        others = [path for path in machine.files() if "index" not in path.parts]
        assert {path.name for path in others} <= {"hosts", "nightscribe-digests.json"}


@pytest.mark.parametrize("victim", [0, 1])
def test_4_a_machine_loses_power_and_the_other_goes_on(
    machines: Machines,
    archive: str,
    undisturbed: tuple[dict[str, pa.Table], float],
    victim: int,
) -> None:
    """Then it runs again, and finds what is left."""
    expected, seconds = undisturbed
    lake = f"s3://lakes/power-{victim}"
    nights = [machines.start(machine, lake, archive) for machine in (0, 1)]
    time.sleep(seconds * random.Random(victim).uniform(0.4, 1.0))
    assert nights[victim].processes(), "the night was over before its machine lost power"
    nights[victim].kill(restart=False)
    machines.finish(nights[1 - victim])
    machines.finish(machines.start(victim, lake, archive))
    assert_same_tables(contents(lake), expected)
    assert check(open_lake(lake)) == []


def test_7_memory_does_not_grow_with_the_length_of_a_recording(
    machines: Machines, tmp_path: Path
) -> None:
    """40 minutes are 154 MB as Whisper takes them, 10 minutes 38 MB."""
    peaks = []
    for minutes in (10, 40):
        folder = tmp_path / str(minutes)
        folder.mkdir()
        write_hum(folder / "long.wav", minutes)
        archive = uploaded(folder, "archives", f"long-{minutes}")
        lake = f"s3://lakes/long-{minutes}"
        nights = [machines.start(machine, lake, archive) for machine in (0, 1)]
        peaks.append(peak_bytes(nights))
        machines.finish(*nights)
        assert count_rows(open_lake(lake), ("transcripts",)) == {"transcripts": 1}
    assert peaks[0] > 100 * 2**20, "this is no night"
    assert peaks[1] < peaks[0] + 60 * 2**20, [round(peak / 2**20) for peak in peaks]


def write_hum(path: Path, minutes: float) -> None:
    """Quiet noise, 8 kHz and 8 bits."""
    noise = numpy.random.default_rng(7).integers(127, 130, int(minutes * 60 * 8_000), "uint8")
    with wave.open(str(path), "wb") as file:
        file.setparams((1, 1, 8_000, 0, "NONE", ""))
        file.writeframes(noise.tobytes())


def peak_bytes(nights: list[Container]) -> int:
    """The largest resident memory of a night's processes together, until all nights have ended."""
    until_there_are_processes(nights)
    peak = 0
    while running := [inside for night in nights if (inside := night.processes())]:
        for inside in running:
            total = 0
            for process in inside:
                with contextlib.suppress(psutil.NoSuchProcess):
                    total += process.memory_info().rss
            peak = max(peak, total)
        time.sleep(0.1)
    return peak


def until_there_are_processes(nights: list[Container]) -> None:
    deadline = time.monotonic() + 30
    while not all(night.processes() for night in nights):
        assert time.monotonic() < deadline
        time.sleep(0.01)
