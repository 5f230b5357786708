"""`nightscribe bench` runs the engine for a while and tells what an archive would take."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path

import pytest

from nightscribe.cli import main
from tests.nights import SAMPLES

QUICK = ("--model", "demo", "--device", "cpu", "--minutes", "0.01")


@pytest.fixture(autouse=True)
def few_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is begun before the time is over is finished: let that be little."""
    monkeypatch.setenv("NIGHTSCRIBE_SLOTS", "2")


def test_speed_and_estimate_agree(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    figures = tmp_path / "figures.json"
    given = ["bench", "--archives", str(SAMPLES / "german"), str(SAMPLES / "english"), *QUICK]
    assert main([*given, "--task", "both", "--hours", "100", "--json", str(figures)]) == 0
    out = capsys.readouterr().out
    found = json.loads(figures.read_text())
    assert found["tasks"] == ["transcribe", "translate"]
    assert found["recordings"] >= 1
    assert found["failed"] == 0
    assert found["rtfx"] == pytest.approx(found["audio_s"] / found["wall_s"])
    assert found["estimate_hours"] == pytest.approx(100 / found["rtfx"])
    assert f"RTFx {found['rtfx']:.1f}" in out
    assert re.search(r"100 hours of audio like this: \d.* on this device", out)


def test_all_kinds_of_archives_are_read_and_what_is_no_audio_is_left_out(
    capsys: pytest.CaptureFixture[str],
) -> None:
    archives = [str(SAMPLES / name) for name in ("spanish.zip", "french.tar.gz", "bad")]
    assert main(["bench", "--archives", *archives, *QUICK]) == 0
    assert "12 recordings" in capsys.readouterr().out


def test_of_long_recordings_the_beginning_is_taken(tmp_path: Path) -> None:
    figures = tmp_path / "figures.json"
    given = ["bench", "--archives", str(SAMPLES / "long" / "long-es.mp3"), *QUICK]
    assert main([*given, "--json", str(figures)]) == 0
    found = json.loads(figures.read_text())
    assert found["audio_s"] == pytest.approx(60 * found["recordings"])


def test_a_recording_that_cannot_be_transcribed_counts_once(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Its header can be read, and nothing behind it."""
    whole = (SAMPLES / "english" / "en-01.flac").read_bytes()
    (tmp_path / "cut.flac").write_bytes(whole[:4000] + bytes(len(whole) - 4000))
    shutil.copy(SAMPLES / "english" / "en-02.mp3", tmp_path)
    figures = tmp_path / "figures.json"
    given = ["bench", "--archives", str(tmp_path), *QUICK, "--task", "both"]
    assert main([*given, "--json", str(figures)]) == 1
    found = json.loads(figures.read_text())
    assert 1 <= found["failed"] < found["recordings"]
    assert found["audio_s"] > 0


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (["--archives", "/no/such/archive"], "/no/such/archive"),
        ([], "--archives"),
        (["--archives", str(SAMPLES / "bad")], "no audio that could be used"),
        (["--archives", str(SAMPLES), "--json", "/no/such/folder/x.json"], "cannot be written"),
    ],
)
def test_mistakes_are_named(
    given: list[str],
    message: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.delenv("NIGHTSCRIBE_ARCHIVES", raising=False)
    assert main(["bench", *given, *QUICK]) == 2
    assert message in capsys.readouterr().err
