"""What the design promises of a lake, each promise with an attempt to break it."""

from __future__ import annotations

import hashlib
import os
import random
import shutil
import signal
import subprocess
import sys
import tarfile
import time
import zipfile
from collections.abc import Iterable, Iterator
from multiprocessing.context import ForkServerContext
from pathlib import Path

import duckdb
import pyarrow as pa
import pytest

from nightscribe.lake.opening import open_lake
from nightscribe.lake.reading import connect, count_rows, read
from nightscribe.lake.tables import Lake
from nightscribe.settings import Settings
from nightscribe.stages.night import run
from nightscribe.stages.order import Order
from nightscribe.whisper.contract import Request, Transcript
from tests.failpoints import FAILPOINTS
from tests.nights import (
    SAMPLES,
    archive_of,
    assert_same_tables,
    contents,
    finish,
    start,
    visible_batches,
    write_noise,
)
from tests.segments import made_up_segment

CLIPS = ("english/en-01.flac", "english/en-02.mp3", "english/en-03.ogg")
KILLS = 8

# In batches of a recording each, so that there is much to commit.
ENGLISH = {"order": {"language": "en"}, "settings": {"batch_minutes": 0.05, "expected_rtfx": 1.0}}


@pytest.fixture(scope="module")
def archive(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three clips, one of them in a zip, a manifest, and a file that is no audio."""
    folder = archive_of(tmp_path_factory.mktemp("promises") / "archive", CLIPS[:2])
    with zipfile.ZipFile(folder / "more.zip", "w") as packed:
        packed.write(SAMPLES / CLIPS[2], "en-03.ogg")
    (folder / "notes.mp3").write_text("milk, eggs, flour")
    (folder / "manifest.csv").write_text(
        "path,language,text,speaker\nen-01.flac,en,The doctor is looking.,a\nlost.wav,en,Gone.,b\n"
    )
    return folder


@pytest.fixture(scope="module")
def undisturbed(
    archive: Path, nights: ForkServerContext, tmp_path_factory: pytest.TempPathFactory
) -> tuple[dict[str, pa.Table], float]:
    """The tables of a run that nothing disturbed, and how many seconds it took."""
    lake = str(tmp_path_factory.mktemp("undisturbed") / "lake")
    started = time.monotonic()
    finish(start(nights, lake, str(archive), **ENGLISH))
    seconds = time.monotonic() - started
    tables = contents(lake)
    assert tables["transcripts"].num_rows == 3
    assert tables["rejected"].num_rows == 2
    assert tables["reference_texts"].num_rows == 1
    return tables, seconds


# 1. A recording is known by its content


def test_renamed_moved_copied_and_repacked_recordings_are_not_transcribed_again(
    tmp_path: Path,
) -> None:
    lake = open_lake(str(tmp_path / "lake"))
    folder = archive_of(tmp_path / "archive", CLIPS[:2])
    assert transcribed(lake, folder) == 2

    (folder / "en-01.flac").rename(folder / "renamed.flac")
    assert transcribed(lake, folder) == 0
    (folder / "deep" / "er").mkdir(parents=True)
    (folder / "en-02.mp3").rename(folder / "deep" / "er" / "moved.mp3")
    assert transcribed(lake, folder) == 0
    shutil.copyfile(folder / "renamed.flac", folder / "copied.flac")
    assert transcribed(lake, folder) == 0
    os.utime(folder / "copied.flac", (0, 0))
    assert transcribed(lake, folder) == 0
    with zipfile.ZipFile(tmp_path / "packed.zip", "w", zipfile.ZIP_DEFLATED) as packed:
        packed.write(folder / "renamed.flac", "a/in-a-zip.flac")
    assert transcribed(lake, tmp_path / "packed.zip") == 0
    with tarfile.open(tmp_path / "packed.tar.gz", "w:gz") as packed_again:
        packed_again.add(folder / "renamed.flac", "in-a-tar.flac")
    assert transcribed(lake, tmp_path / "packed.tar.gz") == 0

    # Every place where they were ever seen is kept; what they hold is there once.
    assert count_rows(lake, ("recordings", "transcripts", "sources")) == {
        "recordings": 2,
        "transcripts": 2,
        "sources": 7,
    }
    sources = read(lake, "SELECT DISTINCT member FROM sources ORDER BY ALL")
    assert sources["member"].to_pylist() == [
        "a/in-a-zip.flac",
        "copied.flac",
        "deep/er/moved.mp3",
        "en-01.flac",
        "en-02.mp3",
        "in-a-tar.flac",
        "renamed.flac",
    ]


def test_one_recording_under_five_names_is_one_recording_five_sources_one_transcript(
    tmp_path: Path,
) -> None:
    lake = open_lake(str(tmp_path / "lake"))
    folder = archive_of(tmp_path / "archive", CLIPS[:1])
    for name in ("b.flac", "c.mp3", "d/e.wav", "d/f.flac"):
        (folder / name).parent.mkdir(exist_ok=True)
        shutil.copyfile(folder / "en-01.flac", folder / name)
    assert transcribed(lake, folder) == 1
    assert count_rows(lake, ("recordings", "sources", "transcripts")) == {
        "recordings": 1,
        "sources": 5,
        "transcripts": 1,
    }


def transcribed(lake: Lake, archive: Path) -> int:
    """Transcripts that a run over an archive made."""
    night = run(
        lake, Order((str(archive),), "demo", language="en"), Settings(device="cpu", threads=1)
    )
    return sum(batch.transcripts for batch in night.transcribed)


# 2. Each (recording, model, task, options) is transcribed once


def test_two_runs_that_race_leave_one_transcript_per_key(
    archive: Path,
    undisturbed: tuple[dict[str, pa.Table], float],
    nights: ForkServerContext,
    tmp_path: Path,
) -> None:
    lake = str(tmp_path / "lake")
    together = nights.Barrier(2)
    same = {"order": {"language": "en"}, "meet": together}
    finish(*[start(nights, lake, str(archive), **same) for _ in range(2)])
    assert_same_tables(contents(lake), undisturbed[0])


def test_two_runs_that_race_with_other_batches_leave_one_transcript_per_key(
    archive: Path,
    undisturbed: tuple[dict[str, pa.Table], float],
    nights: ForkServerContext,
    tmp_path: Path,
) -> None:
    lake = str(tmp_path / "lake")
    together = nights.Barrier(3)
    ways: list[tuple[dict[str, object], dict[str, object]]] = [
        ({"language": "en"}, {}),
        ({"language": "en", "limit": 2}, {}),
        ({"language": "en"}, {"batch_minutes": 0.1, "expected_rtfx": 1.0}),
    ]
    finish(
        *[
            start(nights, lake, str(archive), order=order, settings=settings, meet=together)
            for order, settings in ways
        ]
    )
    assert_same_tables(contents(lake), undisturbed[0])
    with connect(open_lake(lake)) as connection:
        [(attempts,)] = connection.execute("SELECT count(*) FROM files.batches").fetchall()
    assert attempts >= 3, "the runs did not race"


# 3. A batch's rows become visible together or not at all


def test_reader_sees_all_of_a_batch_or_nothing(nights: ForkServerContext, tmp_path: Path) -> None:
    folder = tmp_path / "archive"
    for number in range(12):
        write_noise(folder / f"{number:02}.wav", seed=number)
    lake = open_lake(str(tmp_path / "lake"))
    writer = nights.Process(target=night_of_made_up_text, args=(lake.uri, str(folder)), daemon=True)
    writer.start()
    seen = set()
    while writer.exitcode is None:
        visible, torn, unfinished = visible_batches(lake)
        assert torn == 0, "transcripts without all of their segments"
        assert unfinished == 0, "batches without all of their transcripts"
        seen.add(visible)
    assert writer.exitcode == 0
    assert visible_batches(lake) == (4, 0, 0)
    assert seen - {0, 4}, "the reader never looked in between"
    catalog = duckdb.connect(f"{lake.uri}/catalog.duckdb", read_only=True)
    assert catalog.execute("SELECT count(*) FROM segments").fetchall() == [(12 * 5,)]


def night_of_made_up_text(lake: str, archive: str) -> None:
    """A night whose engine needs no time, in four batches."""

    def engine(requests: Iterable[Request], *_: object, **__: object) -> Iterator[Transcript]:
        for request in requests:
            segment = made_up_segment(" hm")
            for job in request.jobs:
                yield Transcript(
                    request.recording_id, job, "en", None, " hm" * 5, [segment] * 5, 0.3
                )

    settings = Settings(device="cpu", batch_minutes=0.9 / 60, expected_rtfx=1.0)
    run(open_lake(lake), Order((archive,), "demo", language="en"), settings, engine=engine)


# 4. Any process may be killed at any moment; running again finishes the rest


def test_killed_at_random_moments_the_next_runs_end_with_the_same_tables(
    archive: Path,
    undisturbed: tuple[dict[str, pa.Table], float],
    nights: ForkServerContext,
    tmp_path: Path,
) -> None:
    expected, seconds = undisturbed
    chance = random.Random(20)
    # One moment in each eighth of a run, so that no stage is spared. Each lake gets some of
    # them, the early ones first: later runs find work that is done.
    moments = [(slot + chance.random()) / KILLS for slot in range(KILLS)]
    chance.shuffle(moments)
    kills = lakes = 0
    while moments:
        lakes += 1
        lake = str(tmp_path / f"lake-{lakes}")
        too_late = []
        for moment in sorted(moments[-4:]):
            process = start(nights, lake, str(archive), **ENGLISH)
            process.join(moment * seconds)
            if process.exitcode is None:
                os.kill(process.pid or 0, signal.SIGKILL)
                process.join()
                kills += 1
            else:
                assert process.exitcode == 0
                too_late.append(moment * 0.8)
        moments[-4:] = too_late
        finish(start(nights, lake, str(archive), **ENGLISH))
        assert_same_tables(contents(lake), expected)
    assert kills >= KILLS


def test_killed_around_every_commit_the_next_runs_end_with_the_same_tables(
    archive: Path,
    undisturbed: tuple[dict[str, pa.Table], float],
    nights: ForkServerContext,
    tmp_path: Path,
) -> None:
    expected, _ = undisturbed
    lake = str(tmp_path / "lake")
    for moment in FAILPOINTS:
        process = start(nights, lake, str(archive), kill_at=moment, **ENGLISH)
        process.join(120)
        assert process.exitcode == -signal.SIGKILL, moment
    finish(start(nights, lake, str(archive), **ENGLISH))
    assert_same_tables(contents(lake), expected)


# 6. Archives are never written to, and nothing is written outside the lake and the temporary folder

_RUN = """
import os, sys
from nightscribe.lake.opening import open_lake
from nightscribe.stages.night import run
from nightscribe.stages.order import Order
from nightscribe.settings import Settings
lake, archive = sys.argv[1:]
night = run(open_lake(lake), Order((archive,), "demo", language="en"), Settings(device="cpu"))
print(sum(batch.transcripts for batch in night.transcribed), flush=True)
os._exit(0)  # for why, see `nightscribe.cli.command`
"""


def test_archives_are_left_as_they_are_and_nothing_is_written_elsewhere(
    archive: Path, tmp_path: Path
) -> None:
    ours = tmp_path / "archive"
    shutil.copytree(archive, ours)
    for path in [*ours.rglob("*"), ours]:
        path.chmod(0o555 if path.is_dir() else 0o444)
    before = state_of(ours)
    places = {name: tmp_path / name for name in ("home", "cwd", "tmp", "models", "lake")}
    for place in places.values():
        place.mkdir()
    done = subprocess.run(
        [sys.executable, "-B", "-c", _RUN, str(places["lake"]), str(ours)],
        check=True,
        capture_output=True,
        text=True,
        timeout=120,
        cwd=places["cwd"],
        env={
            "PATH": os.environ["PATH"],
            "PYTHONPATH": os.pathsep.join(sys.path),
            "HOME": str(places["home"]),
            "TMPDIR": str(places["tmp"]),
            # Digests of checkpoints are remembered beside them, which is in the home otherwise.
            "NIGHTSCRIBE_MODEL_DIR": str(places["models"]),
        },
    )
    assert done.stdout == "3\n"
    assert state_of(ours) == before
    assert [path.name for path in places["cwd"].rglob("*")] == []
    assert [path.name for path in places["tmp"].rglob("*")] == []
    assert [str(path.relative_to(tmp_path)) for path in places["home"].rglob("*")] == []
    assert {path.name for path in places["models"].rglob("*")} <= {"nightscribe-digests.json"}


def state_of(folder: Path) -> dict[str, tuple[int, int, int, str]]:
    """Everything in a folder: mode, size, modification time in ns, digest."""
    found = {}
    for path in [folder, *folder.rglob("*")]:
        status = path.stat()
        digest = hashlib.sha256(path.read_bytes()).hexdigest() if path.is_file() else ""
        found[str(path)] = (status.st_mode, status.st_size, status.st_mtime_ns, digest)
    return found
