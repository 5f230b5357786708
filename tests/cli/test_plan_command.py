"""`nightscribe plan` says what is pending, how long it takes and what it costs."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from nightscribe import cli
from nightscribe.lake.opening import open_lake
from nightscribe.lake.reading import read
from tests.nights import archive_of

FIRST, SECOND = ["english/en-01.flac", "german/de-02.mp3"], ["english/en-04.wav"]


@pytest.fixture(scope="module")
def archive(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return archive_of(tmp_path_factory.mktemp("archive"), FIRST)


@pytest.fixture(scope="module")
def lake(archive: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A lake after a run of the demo model, with a task that nothing has."""
    folder = tmp_path_factory.mktemp("lakes") / "lake"
    assert (
        cli.main(["run", "--archives", str(archive), "--lake", str(folder), "--model", "demo"]) == 0
    )
    return folder


def plan(lake: Path, *flags: object) -> int:
    return cli.main(["plan", "--lake", str(lake), "--model", "demo", *map(str, flags)])


def test_what_is_pending_is_counted_by_language(
    lake: Path, archive: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = sorted(lake.rglob("*"))
    assert plan(lake, "--archives", archive, "--task", "translate") == 0
    out = capsys.readouterr().out
    assert "pending: 2 recordings, 2 transcripts, 0.00 h of audio, " in out
    assert re.search(r"^en +0\.00 +0\.00 +0\.00 +0\.00$", out, re.M)  # as it was transcribed
    assert "not read yet" not in out
    assert re.search(r"^demo +cpu +\d+\.\d +1 ", out, re.M)
    assert sorted(lake.rglob("*")) == before


def test_nothing_pending_takes_no_time(
    lake: Path, archive: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert plan(lake, "--archives", archive, "--workers", 1, 8) == 0
    out = capsys.readouterr().out
    assert "pending: 0 recordings, 0 transcripts" in out
    assert len(re.findall(r"^demo .* 0\.0 s ", out, re.M)) == 2


def test_new_files_are_estimated_by_their_size(
    lake: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    more = archive_of(tmp_path / "more", SECOND)
    assert plan(lake, "--archives", more, "--price-per-gpu-hour", 36000) == 0
    out = capsys.readouterr().out
    assert re.search(r"not read yet: 1 new files of 0\.2 MB; about 0\.0\d h of audio", out)
    [cost] = re.findall(r" (\d+\.\d\d)$", out.partition("cost")[2].splitlines()[2], re.M)
    assert float(cost) > 0


def test_a_model_that_never_ran_is_planned_with_an_assumed_speed(
    lake: Path, archive: Path, capsys: pytest.CaptureFixture[str], repository: Path, tmp_path: Path
) -> None:
    other = tmp_path / "other.pt"
    other.write_bytes((repository / "models" / "demo.pt").read_bytes() + b"\0")
    assert (
        cli.main(["plan", "--lake", str(lake), "--archives", str(archive), "--model", str(other)])
        == 0
    )
    rows = capsys.readouterr().out.partition("done at")[2].splitlines()[2:]
    assert " assumed " in rows[0]
    assert rows[1].startswith("demo")


def test_a_plan_that_is_late_exits_with_1(
    lake: Path, archive: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    flags = ("--archives", archive, "--task", "translate")
    monkeypatch.setattr("nightscribe.stages.outlook.besides_s", lambda lake: 90_000.0)
    assert plan(lake, *flags, "--done-by", "00:00") == 1
    assert "late" in capsys.readouterr().out
    monkeypatch.setattr("nightscribe.stages.outlook.besides_s", lambda lake: 0.0)
    later = datetime.now(UTC) + timedelta(hours=12)
    assert plan(lake, *flags, "--done-by", f"{later:%H:%M}") == 0
    assert "in time" in capsys.readouterr().out


def test_earlier_runs_are_compared_with_what_was_expected(
    lake: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    more = archive_of(tmp_path / "more", SECOND)
    assert cli.main(["run", "--archives", str(more), "--lake", str(lake), "--model", "demo"]) == 0
    runs = read(open_lake(str(lake)), "SELECT expected_s, took_s FROM runs ORDER BY planned_at")
    [first, second] = runs.to_pylist()
    assert first["expected_s"] is None  # the model had never run
    assert second["expected_s"] > 0
    assert second["took_s"] > 0
    capsys.readouterr()
    assert plan(lake, "--archives", more) == 0
    assert re.search(
        r"demo +\d.* s +\d.* s$", capsys.readouterr().out.partition("earlier")[2], re.M
    )


def test_options_count_as_in_a_run(
    lake: Path, archive: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert plan(lake, "--archives", archive, "--option", "beam_size=2", "--limit", 1) == 0
    assert "pending: 1 recordings, 1 transcripts" in capsys.readouterr().out


def test_files_of_unknown_length_promise_nothing(
    archive: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    open_lake(str(tmp_path / "empty"))
    assert plan(tmp_path / "empty", "--archives", archive, "--done-by", "06:00") == 1
    out = capsys.readouterr().out
    assert "their length is unknown" in out
    assert "unknown" in out.splitlines()[-1]
    assert plan(tmp_path / "empty", "--archives", archive) == 0  # nothing is due


def test_a_set_speed_takes_precedence(
    lake: Path,
    archive: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("NIGHTSCRIBE_EXPECTED_RTFX", "7")
    assert plan(lake, "--archives", archive) == 0
    assert re.search(r"^demo +auto +7\.0 +assumed", capsys.readouterr().out, re.M)


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (("--price-per-gpu-hour", "-1"), "give an amount"),
        (("--price-per-gpu-hour", "nan"), "give an amount"),
        (("--done-by", "25:00"), "time of day in UTC"),
    ],
)
def test_wrong_flags_are_refused(
    lake: Path, flags: tuple[str, ...], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit, match="2"):
        plan(lake, *flags)
    assert message in capsys.readouterr().err


@pytest.mark.parametrize("workers", ["0", "two", "-1"])
def test_numbers_of_workers_are_checked(
    lake: Path, archive: Path, workers: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert plan(lake, "--archives", archive, f"--workers={workers}") == 2
    assert "from 1 to" in capsys.readouterr().err


def test_a_lake_is_needed(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert plan(tmp_path / "none") == 2
    said = capsys.readouterr().err
    assert "there is no lake" in said
    assert "nightscribe bench" in said
    assert not (tmp_path / "none").exists()
