"""`nightscribe bench` runs the engine for a while and tells what an archive would take."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from nightscribe.cli import main
from tests.nights import SAMPLES


def test_speed_and_estimate_agree(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    figures = tmp_path / "figures.json"
    given = ["bench", "--archives", str(SAMPLES / "german"), str(SAMPLES / "english")]
    given += ["--model", "demo", "--device", "cpu", "--task", "both"]
    assert main([*given, "--minutes", "0.01", "--hours", "100", "--json", str(figures)]) == 0
    out = capsys.readouterr().out
    found = json.loads(figures.read_text())
    assert found["tasks"] == ["transcribe", "translate"]
    assert found["recordings"] >= 12
    assert found["failed"] == 0
    assert found["rtfx"] == pytest.approx(found["audio_s"] / found["wall_s"])
    assert found["estimate_hours"] == pytest.approx(100 / found["rtfx"])
    assert f"RTFx {found['rtfx']:.1f}" in out
    assert re.search(r"100 hours of audio like this: \d.* on this device", out)


def test_all_kinds_of_archives_are_read_and_what_is_no_audio_is_left_out(
    capsys: pytest.CaptureFixture[str],
) -> None:
    archives = [str(SAMPLES / name) for name in ("spanish.zip", "french.tar.gz", "bad")]
    given = ["bench", "--archives", *archives, "--model", "demo", "--device", "cpu"]
    assert main([*given, "--minutes", "0.01"]) == 0
    assert "12 recordings" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (["--archives", "/no/such/archive"], "/no/such/archive"),
        ([], "--archives"),
    ],
)
def test_mistakes_are_named(
    given: list[str],
    message: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.delenv("NIGHTSCRIBE_ARCHIVES", raising=False)
    assert main(["bench", *given, "--model", "demo"]) == 2
    assert message in capsys.readouterr().err


def test_an_archive_without_audio_is_a_mistake(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "text.wav").write_text("no audio")
    assert main(["bench", "--archives", str(tmp_path), "--model", "demo"]) == 2
    assert "no audio was found" in capsys.readouterr().err
