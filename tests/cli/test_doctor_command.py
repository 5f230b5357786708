"""`nightscribe doctor` says whether the configured night could run, and what to do if not."""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import whisper

from nightscribe import cli
from nightscribe.lake.opening import open_lake
from tests.nights import archive_of
from tests.unprivileged import unprivileged

Doctor = Callable[..., tuple[int, str]]

NAMES = {
    *("machine", "decoder", "isolation", "temp", "settings", "archive", "lake", "model"),
    *("device", "memory", "airflow"),
}


@pytest.fixture(scope="module")
def archive(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return archive_of(tmp_path_factory.mktemp("archive"), ["english/en-03.ogg"])


@pytest.fixture
def doctor(
    archive: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> Doctor:
    """Call with flags that override a healthy set-up: the exit code and what is printed."""
    monkeypatch.setenv("NIGHTSCRIBE_ARCHIVES", str(archive))
    monkeypatch.setenv("NIGHTSCRIBE_LAKE", str(tmp_path / "lake"))
    monkeypatch.setenv("NIGHTSCRIBE_MODEL", "demo")
    for name in [name for name in os.environ if name.startswith("AIRFLOW_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("AIRFLOW_HOME", str(tmp_path / "no-airflow"))

    def call(*flags: object) -> tuple[int, str]:
        code = cli.main(["doctor", *map(str, flags)])
        return code, capsys.readouterr().out

    return call


def failures(printed: str) -> list[str]:
    return [line for line in printed.splitlines() if line.startswith("FAIL")]


def test_healthy_machine_is_ready_and_nothing_is_left_on_it(
    doctor: Doctor, archive: Path, tmp_path: Path
) -> None:
    before = sorted(archive.rglob("*"))
    started = time.monotonic()
    code, printed = doctor()
    assert code == 0, printed
    assert time.monotonic() - started < 15
    *lines, last = printed.splitlines()
    assert last == "the night can run"
    assert {line.split()[1] for line in lines if line[0] != " "} == NAMES
    assert not failures(printed)
    assert "not set up here" in printed
    assert list(tmp_path.iterdir()) == []
    assert doctor("--lake", tmp_path / "new" / "folders" / "lake")[0] == 0
    assert list(tmp_path.iterdir()) == []
    assert sorted(archive.rglob("*")) == before


def test_findings_are_machine_readable(doctor: Doctor) -> None:
    code, printed = doctor("--json")
    report: dict[str, Any] = json.loads(printed)
    assert (code, report["ready"]) == (0, True)
    assert {finding["name"] for finding in report["findings"]} == NAMES
    assert all(set(row) == {"name", "state", "found", "remedy"} for row in report["findings"])
    code, printed = doctor("--json", "--device", "abacus")
    assert (code, json.loads(printed)["ready"]) == (1, False)


def test_lake_is_probed_and_left_as_it_was(doctor: Doctor, tmp_path: Path) -> None:
    open_lake(str(tmp_path / "lake"))
    before = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*") if path.is_file()}
    code, printed = doctor()
    assert code == 0, printed
    assert "written, read back and removed a file" in printed
    now = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*") if path.is_file()}
    assert now == before


@pytest.mark.parametrize(
    ("flags", "name", "said"),
    [
        (("--archives", "/nowhere"), "archive", "/nowhere: no such archive"),
        (("--archives", "https://host/a.zip"), "archive", "only for `nightscribe transcribe`"),
        (("--archives", "abc://bucket/a"), "archive", "abc:// cannot be used"),
        (("--lake", "/etc/passwd"), "lake", "/etc/passwd"),
        (("--lake", "/etc/passwd/lake"), "lake", "is a file"),
        (("--lake", "/proc/lake"), "lake", "/proc"),
        (("--lake", "lake*"), "lake", "patterns in DuckDB"),
        (("--model", "gigantic"), "model", "'gigantic'"),
        (("--model", "/nowhere/model.pt"), "model", "'/nowhere/model.pt'"),
        (("--device", "abacus"), "device", "'abacus'"),
        (("--device", "cuda:99"), "device", "'cuda:99'"),
        (("--device", "cpu", "--precision", "float16"), "device", "'float16'"),
        (("--engine", "reference", "--precision", "bfloat16"), "settings", "no bfloat16"),
        (("--model", "tiny.en", "--task", "translate"), "settings", "not trained to translate"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, tuple) else None,
)
def test_broken_thing_is_named(
    flags: tuple[str, ...],
    name: str,
    said: str,
    doctor: Doctor,
    unreachable: None,
) -> None:
    if flags == ("--lake", "/proc/lake") and not os.path.ismount("/proc"):
        pytest.skip("this system has no /proc")
    code, printed = doctor(*flags)
    assert code == 1
    found = [line for line in failures(printed) if line.split()[1] == name]
    assert found, printed
    assert said in found[0]
    assert printed.endswith("the night cannot run: see the lines with FAIL\n")


@pytest.fixture
def unreachable(monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory) -> None:
    """Has openai-whisper's table point to a port of this machine that nobody listens to."""
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        port = closed.getsockname()[1]
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    table = {
        name: f"http://127.0.0.1:{port}/models/{'0' * 64}/{name}.pt" for name in ("tiny", "tiny.en")
    }
    monkeypatch.setattr(whisper, "_MODELS", table)
    monkeypatch.setenv("NIGHTSCRIBE_MODEL_DIR", str(tmp_path_factory.mktemp("models")))


def test_missing_model_that_cannot_be_fetched_is_named_with_what_to_do(
    doctor: Doctor, unreachable: None
) -> None:
    code, printed = doctor("--model", "tiny")
    assert code == 1
    [line] = failures(printed)
    assert line.startswith("FAIL  model")
    assert "nightscribe models fetch tiny" in line


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("NIGHTSCRIBE_PRECISION", "int8"),
        ("NIGHTSCRIBE_SLOTS", "-1"),
        ("NIGHTSCRIBE_ARCHIVE_MAX_MEMBERS", "0"),
    ],
)
def test_bad_variable_is_named(
    variable: str, value: str, doctor: Doctor, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(variable, value)
    code, printed = doctor()
    assert code == 1
    [line] = failures(printed)
    assert f"{variable}={value}" in line


def test_bad_language_and_no_archive_are_named(
    doctor: Doctor, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NIGHTSCRIBE_ARCHIVES", "")
    code, printed = doctor()
    assert (code, len(failures(printed))) == (1, 1)
    assert "no archive is configured" in printed
    monkeypatch.setenv("NIGHTSCRIBE_LANGUAGE", "Klingon")
    code, printed = doctor()
    assert code == 1
    assert "NIGHTSCRIBE_LANGUAGE=Klingon" in printed


def test_checkpoint_that_was_cut_short_is_named(doctor: Doctor, tmp_path: Path) -> None:
    (tmp_path / "cut.pt").write_bytes(b"PK" * 100)
    code, printed = doctor("--model", tmp_path / "cut.pt")
    assert code == 1
    assert "has only 200 bytes" in failures(printed)[0]


def test_verify_hashes_the_model(doctor: Doctor, demo_checkpoint: Path, tmp_path: Path) -> None:
    shutil.copyfile(demo_checkpoint, tmp_path / "mine.pt")
    code, printed = doctor("--model", tmp_path / "mine.pt", "--verify")
    assert code == 0, printed
    assert "SHA-256 " in printed


def test_lake_of_a_newer_nightscribe_and_a_damaged_one_are_named(
    doctor: Doctor, tmp_path: Path
) -> None:
    (tmp_path / "lake").mkdir()
    for content, said in (('{"format": 99}', "has format 99"), ("{", "is damaged")):
        (tmp_path / "lake" / "lake.json").write_text(content)
        code, printed = doctor()
        assert code == 1
        assert said in failures(printed)[0]


def test_archives_without_audio_are_warned_of(doctor: Doctor, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "texts").mkdir()
    (tmp_path / "texts" / "notes.txt").write_text("milk")
    code, printed = doctor("--archives", tmp_path / "empty", tmp_path / "texts")
    assert code == 0
    assert [line.split()[1] for line in printed.splitlines() if line.startswith("warn")] == [
        "archive",
        "archive",
    ]


def test_lakes_and_archives_without_rights_are_named(tmp_path: Path, archive: Path) -> None:
    """With the rights of a user, not those of root."""
    locked = tmp_path / "locked"
    locked.mkdir()
    existing = tmp_path / "existing"
    open_lake(str(existing))
    secret = archive_of(tmp_path / "secret", ["english/en-03.ogg"])
    (secret / "en-03.ogg").chmod(0)
    locked.chmod(0o555)
    existing.chmod(0o555)
    script = """
import sys
from nightscribe.stages.findings import Check, examine
from nightscribe.stages.night_checks import archive_findings, lake_findings
locked, existing, secret = sys.argv[1:]
checks = [
    Check("lake", lambda: lake_findings(locked + "/lake", None), ""),
    Check("lake", lambda: lake_findings(existing, None), ""),
    Check("archive", lambda: archive_findings(secret), ""),
]
for finding in examine(checks, 30):
    print(finding.state.value, finding.found)
"""
    try:
        lines = unprivileged(script, str(locked), str(existing), str(secret))
    finally:
        for folder in (locked, existing):
            folder.chmod(0o755)
    assert [line.split()[0] for line in lines] == ["FAIL"] * 3
    assert "cannot be written" in lines[0]
    assert "cannot be written" in lines[1]
    assert "en-03.ogg cannot be read" in lines[2]


def test_an_airflow_that_does_not_answer_in_time_is_a_warning(
    doctor: Doctor, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = subprocess.run

    def hangs(command: list[str], **options: Any) -> Any:
        if "nightscribe.airflow.readiness" in command:
            options["timeout"] = 0.01
        return run(command, **options)

    monkeypatch.setattr("subprocess.run", hangs)
    code, printed = doctor()
    assert code == 0, printed
    [line] = [line for line in printed.splitlines() if " airflow " in line]
    assert line.startswith("warn ")
    assert "nothing is known of it" in line
