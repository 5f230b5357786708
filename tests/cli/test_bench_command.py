"""`nightscribe bench` runs the engine for a while and tells what an archive would take."""

from __future__ import annotations

import io
import json
import os
import re
import shutil
import sys
from pathlib import Path

import pytest

from nightscribe.audio.decode import decode
from nightscribe.audio.samples import SAMPLE_RATE
from nightscribe.cli import main
from nightscribe.cli.excerpts import draw_excerpts
from nightscribe.cli.shapes import ShapeFigures, fitting, measured
from nightscribe.settings import ArchiveLimits
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


def test_of_long_recordings_the_beginning_is_taken() -> None:
    [excerpt] = draw_excerpts([str(SAMPLES / "long" / "long-es.mp3")], ArchiveLimits())
    assert decode(io.BytesIO(excerpt)).samples.size == 60 * SAMPLE_RATE


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
        (["--shape", "huge"], "--shape huge: choose all, tiny"),
    ],
)
def test_mistakes_are_named(
    given: list[str],
    message: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.delenv("NIGHTSCRIBE_ARCHIVES", raising=False)
    model = QUICK[2:] if "--shape" in given else QUICK
    assert main(["bench", *given, *model]) == 2
    assert message in capsys.readouterr().err


def test_the_best_shape_that_fits_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Each is measured in its own process; what memory has no room for is not begun."""
    monkeypatch.setattr("nightscribe.cli.shapes.GENERAL", ("tiny", "large-v3"))
    monkeypatch.setattr("nightscribe.whisper.batched.memory.free_memory", lambda: 4 << 30)
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(sys.path))
    figures = tmp_path / "figures.json"
    given = ["--archives", str(SAMPLES / "german" / "de-01.flac"), "--device", "cpu"]
    given += ["--minutes", "0.01", "--hours", "1", "--within", "8", "--json", str(figures)]
    assert main(["bench", "--shape", "all", *given]) == 1
    out = capsys.readouterr().out
    tiny, large = json.loads(figures.read_text())["shapes"]
    assert re.search(rf"\| tiny +\| +37 M \| +{tiny['rtfx']:.1f} \| +\d+ MiB \| +[\d,]+ h \|", out)
    assert tiny["peak_memory_bytes"] > 4 * tiny["parameters"]
    assert large["rtfx"] is None
    assert re.search(
        r"\| large-v3 +\| +1542 M \| .* needs about 15.4 GiB of memory, 4.0 are free", out
    )
    assert re.search(r"tiny fits: it transcribes 1 hours of audio in \d", out)


def figures_of(**speeds: float) -> list[ShapeFigures]:
    return [ShapeFigures(shape, 1, rtfx, 1) for shape, rtfx in speeds.items()]


@pytest.mark.parametrize(
    ("hours", "within", "said"),
    [
        (80, 8, "base fits: it transcribes 80 hours of audio in 4 h 00 min."),
        (160, 8, "base fits: it transcribes 160 hours of audio in 8 h 00 min."),
        (161, 8, "tiny fits"),
        (16, 8, "small fits"),
        (1600, 8, "None transcribes 1600 hours of audio in 8 hours: tiny, the fastest, would need"),
    ],
)
def test_the_best_of_the_fast_enough_fits(hours: float, within: float, said: str) -> None:
    figures = [*figures_of(tiny=40, base=20, small=2), ShapeFigures("medium", 1, reason="no room")]
    assert fitting(figures, hours, within).startswith(said)


def test_a_shape_that_ends_early_says_why(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(sys.path))
    found = measured("tiny", ["--archives", str(tmp_path / "gone")], None)
    assert found.rtfx is None
    assert str(tmp_path / "gone") in found.reason
    assert fitting([found], 1, 8) == "No shape could be measured."


@pytest.mark.parametrize("shape", ["tiny", "base.en"])
def test_parameters_are_those_of_the_network(shape: str) -> None:
    from whisper.model import Whisper

    from nightscribe.whisper.batched.random_weights import SHAPES, parameters

    network = Whisper(SHAPES[shape])
    assert parameters(SHAPES[shape]) == sum(weight.numel() for weight in network.parameters())
