"""One call fails, whichever it is: the command says so, and the lake and the next run are whole.

A seeded sample of the calls. `FAULTY_CALLS=50` takes 50 of each command, `FAULTY_CALLS=all` every
one, which takes hours, and `FAULTY_CALLS=2/3` the second of three shares of them.
"""

from __future__ import annotations

import json
import os
import random
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.faulty_calls import FaultyCalls, Ran
from tests.nights import write_noise
from tests.preloaded import FAULTY_CALLS, compiled

SAMPLE = 2  # calls of each command
COUNTS = """SELECT (SELECT count(*) FROM recordings) AS recordings,
    (SELECT count(*) FROM sources) AS sources, (SELECT count(*) FROM rejected) AS rejected,
    (SELECT count(*) FROM transcripts) AS transcripts, (SELECT count(*) FROM segments) AS segments,
    (SELECT count(*) FROM reference_texts) AS reference_texts,
    (SELECT count(*) FROM waveforms) AS waveforms, (SELECT count(*) FROM warnings) AS warnings"""


@pytest.fixture(scope="module")
def calls(tmp_path_factory: pytest.TempPathFactory, repository: Path) -> Iterator[FaultyCalls]:
    folder = tmp_path_factory.mktemp("faulty-calls")
    library = compiled(FAULTY_CALLS, folder)
    if library is None:
        pytest.skip("no C compiler is installed")
    program = FaultyCalls(library, environment(repository))
    yield program
    program.close()


def environment(repository: Path) -> dict[str, str]:
    """Variables of the commands: no settings, no credentials, and this package."""
    foreign = ("NIGHTSCRIBE_", "AWS_")
    kept = {name: value for name, value in os.environ.items() if not name.startswith(foreign)}
    path = os.pathsep.join([str(repository / "plugins"), str(repository)])
    return {**kept, "PYTHONPATH": path}


@pytest.fixture(scope="module")
def archive(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("archive")
    write_noise(folder / "0.wav", 0)
    (folder / "manifest.csv").write_text("path,language,text\n0.wav,en,The doctor is here.\n")
    return folder


@pytest.fixture(scope="module")
def whole(calls: FaultyCalls, archive: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    lake = tmp_path_factory.mktemp("whole") / "lake"
    ran = calls.run(run_of(archive, lake))
    assert ran.code == 0, ran.err
    return lake


def run_of(archive: Path, lake: Path) -> list[object]:
    return ["run", "--archives", archive, "--lake", lake, "--model", "demo", "--language", "en"]


def counts(calls: FaultyCalls, lake: object) -> list[dict[str, int]]:
    ran = calls.run(["sql", "--lake", lake, "--format", "json", COUNTS])
    assert ran.code == 0, ran.err
    found: list[dict[str, int]] = json.loads(ran.out)
    return found


def numbers(count: int, seed: str, sample: int = SAMPLE) -> list[int]:
    """The calls to let fail, from 1, of as many as a command makes."""
    wanted = os.environ.get("FAULTY_CALLS", str(sample))
    if "/" in wanted:
        share, shares = map(int, wanted.split("/"))
        return list(range(share, count + 1, shares))
    most = count if wanted == "all" else min(int(wanted), count)
    return sorted(random.Random(seed).sample(range(1, count + 1), most))


def assert_said(ran: Ran, clean: Ran) -> None:
    """It ended as without a fault, or said in one sentence what failed."""
    assert "Traceback" not in ran.err, ran
    if ran.code == 2:
        assert ran.err.splitlines()[-1].startswith("error: "), ran
    elif ran.code == 1:  # of `export`, which writes the other files
        assert ran.err.startswith("not written: "), ran
    else:
        assert ran.code == clean.code, ran


COMMANDS = {
    "sql": (["sql", "--format", "csv", "SELECT text, start_s FROM segments"], "lake"),
    "sql to a file": (["sql", "--format", "csv", "-o", "OUT/x.csv", "FROM segments"], "out"),
    "export": (["export", "--format", "srt", "--out", "OUT"], "lake"),
    "export to a folder": (["export", "--format", "srt", "--out", "OUT"], "out"),
    "evaluate": (["evaluate", "--out", "OUT"], "lake"),
}


@pytest.mark.parametrize("name", COMMANDS)
def test_a_call_that_fails_is_said_and_no_answer_is_shorter(
    name: str, calls: FaultyCalls, whole: Path, tmp_path: Path
) -> None:
    words, where = COMMANDS[name]
    out = tmp_path / "out"

    def run(number: int) -> tuple[Ran, dict[str, bytes]]:
        lake = tmp_path / "lake"
        for folder in (lake, out):
            shutil.rmtree(folder, ignore_errors=True)
        shutil.copytree(whole, lake)
        out.mkdir()
        given = [word.replace("OUT", str(out)) for word in words]
        below = lake if where == "lake" else out
        ran = calls.run([given[0], "--lake", lake, *given[1:]], below, number)
        files = {str(path.relative_to(out)): path.read_bytes() for path in sorted(out.rglob("*.*"))}
        return ran, files

    clean, made = run(0)
    assert clean.code == 0, clean.err
    rows = counts(calls, tmp_path / "lake")
    for number in numbers(clean.count, name, 1 if name == "evaluate" else SAMPLE):
        ran, files = run(number)
        assert_said(ran, clean)
        assert not [file for file in files if file.endswith(".tmp")]
        if ran.code == 0 and name != "evaluate":  # whose reports have the time
            assert (ran.out, files) == (clean.out, made)
        assert counts(calls, tmp_path / "lake") == rows


@pytest.mark.parametrize("command", ["maintain", "forget"])
def test_upkeep_after_a_call_that_fails_ends_as_if_none_had(
    command: str, calls: FaultyCalls, whole: Path, tmp_path: Path
) -> None:
    lake = tmp_path / "lake"
    words: list[object] = ["lake", "maintain", "--lake", lake]
    if command == "forget":
        words = ["forget", "--lake", lake, "--where", "true", "--yes"]
    shutil.copytree(whole, lake)
    clean = calls.run(words, lake)
    assert clean.code == 0, clean.err
    made = counts(calls, lake)
    assert made[0]["transcripts"] == (0 if command == "forget" else 1)
    for number in numbers(clean.count, command, 1):
        shutil.rmtree(lake)
        shutil.copytree(whole, lake)
        ran = calls.run(words, lake, number)
        assert_said(ran, clean)
        if ran.code:
            again = calls.run(["lake", "maintain", "--lake", lake])
            assert again.code == 0, again.err
            if command == "forget":
                assert calls.run(words).code in (0, 1)  # 1: nothing is left to forget
        assert counts(calls, lake) == made, ran
        assert calls.run(["lake", "check", "--lake", lake]).code == 0


@pytest.mark.parametrize("command", ["run", "datasets"])
def test_the_run_after_a_call_that_fails_makes_the_same_lake(
    command: str, calls: FaultyCalls, archive: Path, whole: Path, tmp_path: Path
) -> None:
    lake = tmp_path / "lake"
    words = run_of(archive, lake)
    if command == "datasets":
        path = archive / "manifest.csv"
        words = ["datasets", "add", "manifest", "--path", path, "--name", "x", "--lake", lake]
    clean = calls.run(words, lake)
    assert clean.code == 0, clean.err
    made = counts(calls, lake)
    for number in numbers(clean.count, command):
        shutil.rmtree(lake)
        ran = calls.run(words, lake, number)
        assert_said(ran, clean)
        if ran.code:  # else everything is there already
            again = calls.run(words)
            assert again.code == 0, again.err
        assert counts(calls, lake) == made, ran


def test_no_entry_of_a_log_is_overlooked(calls: FaultyCalls, archive: Path, tmp_path: Path) -> None:
    """delta-rs takes an entry whose size it cannot get for one that is not there.

    Of a lake that is not published yet, the newest versions are noted nowhere else.
    """
    lake = tmp_path / "lake"
    path = archive / "manifest.csv"
    words = ["datasets", "add", "manifest", "--path", path, "--name", "x", "--lake", lake]
    assert calls.run(words).code == 0
    entry = lake / "sources" / "_delta_log" / f"{1:020d}.json"
    count = ["sql", "--lake", lake, "SELECT count(*) FROM sources"]
    clean = calls.run(count, entry)
    assert clean.code == 0, clean.err
    assert clean.count > 2
    for number in range(1, clean.count + 1):
        ran = calls.run(count, entry, number)
        assert_said(ran, clean)
        assert ran.out == (clean.out if ran.code == 0 else "")
    ran = calls.run(count, entry, 1, -1)
    assert ran.code == 2
    assert_said(ran, clean)
    assert str(entry) in ran.err


def test_a_disk_that_stays_full_stops_a_run_and_the_next_one_makes_the_same_lake(
    calls: FaultyCalls, archive: Path, whole: Path, tmp_path: Path
) -> None:
    lake = tmp_path / "lake"
    clean = calls.run(run_of(archive, lake), lake)
    shutil.rmtree(lake)
    [number] = random.Random(0).sample(range(1, clean.count), 1)
    ran = calls.run(run_of(archive, lake), lake, number, -1)
    assert ran.code == 2, ran.err
    assert_said(ran, clean)
    assert calls.run(run_of(archive, lake)).code == 0
    assert counts(calls, lake) == counts(calls, whole)
