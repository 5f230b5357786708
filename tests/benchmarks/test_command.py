"""One command prints a table and writes its figures down."""

from __future__ import annotations

import csv
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest


@pytest.fixture
def archive(recordings: list[str], tmp_path: Path) -> Path:
    folder = tmp_path / "archive"
    folder.mkdir()
    with (folder / "manifest.csv").open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["path", "language", "text"])
        for path in recordings:
            shutil.copy(path, folder)
            writer.writerow([Path(path).name, "en", "noise"])
    return folder


def command(repository: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    paths = os.pathsep.join([str(repository), str(repository / "plugins")])
    return subprocess.run(
        [sys.executable, "-m", "benchmarks", *arguments],
        cwd=repository,
        env={**os.environ, "PYTHONPATH": paths},
        text=True,
        capture_output=True,
        check=False,
    )


def table_rows(out: str) -> list[list[str]]:
    """The cells of a printed table: its head, its rule, its rows."""
    return [
        [cell.strip() for cell in line.split("|")[1:-1]]
        for line in out.splitlines()
        if line.startswith("|")
    ]


@pytest.mark.parametrize("shape", ["multilingual"], indirect=True, scope="session")
def test_engines_are_compared_in_one_command(
    repository: Path, checkpoint: Path, archive: Path, tmp_path: Path
) -> None:
    report = tmp_path / "report.json"
    done = command(
        *(repository, "engines", "--engines", "openai-whisper,nightscribe", "--repeats", "1"),
        *("--model", str(checkpoint), "--archive", str(archive), "--work", str(tmp_path)),
        *("--copies", "2", "--json", str(report), "--threads", "1", "--seconds", "0-1000"),
    )
    assert done.returncode == 0, done.stderr
    lines = [line for line in done.stdout.splitlines() if line.startswith("|")]
    assert [line.split("|")[1].strip() for line in lines[2:]] == ["openai-whisper", "nightscribe"]
    written = json.loads(report.read_text())
    assert written["conditions"]["recordings"] == 4
    assert written["conditions"]["seconds"] == 86
    assert [len(measured["texts"]) for turn in written["turns"] for measured in turn] == [4, 4]
    assert {row["engine"]: row["same"] for row in written["rows"]}["nightscribe"] == 1.0


@pytest.mark.parametrize("shape", ["multilingual"], indirect=True, scope="session")
def test_memory_is_told_by_count_and_by_length(
    repository: Path, checkpoint: Path, archive: Path, tmp_path: Path
) -> None:
    done = command(
        *(repository, "memory", "--model", str(checkpoint), "--archive", str(archive)),
        *("--work", str(tmp_path), "--counts", "1,3", "--hours", "0.01"),
        *("--threads", "1"),
    )
    assert done.returncode == 0, done.stderr
    rows = table_rows(done.stdout)
    assert [row[0] for row in rows[2:]] == ["1 recordings", "3 recordings", "1 recording of 0.01 h"]
    assert rows[-1][1] == "0.01 h"
    assert all(int(row[-1].removesuffix(" MiB")) > 100 for row in rows[2:])
    assert not list(tmp_path.glob("*.wav"))


def test_decoding_is_measured_format_by_format(
    repository: Path, archive: Path, tmp_path: Path
) -> None:
    done = command(
        *(repository, "decoding", "--archive", str(archive), "--work", str(tmp_path)),
        *("--minutes", "0.1", "--repeats", "1", "--workers", "2", "--target", "100"),
    )
    assert done.returncode == 0, done.stderr
    rows = table_rows(done.stdout)
    assert rows[0][-1] == "cores for 100"
    assert [row[0].split(",")[0] for row in rows[2:-1]] == [
        *("flac", "libmp3lame", "libopus", "pcm_s16le", "aac", "pcm_s16le")
    ]
    for row in rows[2:]:
        assert float(row[-1]) == pytest.approx(100 / float(row[2]), abs=0.06)


def test_an_unknown_engine_is_named_with_those_that_are_known(repository: Path) -> None:
    done = command(repository, "engines", "--engines", "fastest-whisper")
    assert done.returncode == 2
    assert "'fastest-whisper'" in done.stderr
    assert "openai-whisper" in done.stderr
