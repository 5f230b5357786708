"""Baselines and the gate on a real lake: a planted regression, and a night like the last one."""

from __future__ import annotations

import csv
import html
import json
import re
import wave
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from evaluation.gate.baselines import set_baselines
from evaluation.gate.rules import Rules
from evaluation.lake import evaluate_lake
from evaluation.pairs.systems import Chosen
from nightscribe import cli
from nightscribe.audio.decode import decode
from nightscribe.lake.opening import open_lake
from nightscribe.lake.reading import read
from nightscribe.lake.tables import Lake
from nightscribe.settings import Settings
from nightscribe.stages.night import run
from nightscribe.stages.order import Order
from tests.nights import SAMPLES

CLIPS = {
    "en": ("english/en-01.flac", "english/en-03.ogg", "english/en-05.m4a"),
    "ru": ("russian/radio/ru-01.flac", "russian/radio/ru-03.ogg", "russian/radio/ru-05.m4a"),
    "zh": ("chinese/zh-01.flac", "chinese/zh-03.ogg", "chinese/zh-05.m4a"),
}
LOUDNESS = (1.0, 0.8, 0.6)


@pytest.fixture(scope="module")
def archive(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Nine recordings of each of three languages: three sentences, each at three levels."""
    folder = tmp_path_factory.mktemp("gate") / "archive"
    folder.mkdir()
    with (SAMPLES / "manifest.csv").open(newline="", encoding="utf-8") as file:
        texts = {row["path"]: row["text"] for row in csv.DictReader(file)}
    rows = [("path", "language", "text", "dataset")]
    for language, clips in CLIPS.items():
        for clip, loudness in ((clip, loudness) for clip in clips for loudness in LOUDNESS):
            name = f"{Path(clip).stem}-{loudness}.wav"
            samples = (decode(SAMPLES / clip).samples * loudness * 32767).astype(np.int16)
            with wave.open(str(folder / name), "wb") as file:
                file.setparams((1, 2, 16_000, 0, "NONE", ""))
                file.writeframes(samples.tobytes())
            rows.append((name, language, texts[clip], "three"))
    with (folder / "manifest.csv").open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows(rows)
    return folder


def transcribe(lake: Lake, archive: Path, **options: Any) -> None:
    order = Order((str(archive),), "demo", options=options, force=True)
    run(lake, order, Settings(device="cpu", engine="batched"), say=lambda line: None)


@pytest.fixture(scope="module")
def lake(archive: Path, tmp_path_factory: pytest.TempPathFactory) -> Lake:
    """Transcribed once, and made the baseline."""
    made = open_lake(str(tmp_path_factory.mktemp("lakes") / "lake"))
    transcribe(made, archive)
    assert set_baselines(made, "first", Chosen(), "as it came").num_rows == 27
    return made


def alarms(lake: Lake) -> list[str]:
    evaluated = evaluate_lake(lake, "evaluation", Rules())
    assert evaluated is not None
    assert evaluated.against is not None
    assert evaluated.against.unguarded == []
    return evaluated.against.alarms


def frequent_tokens(lake: Lake, language: str, count: int) -> Sequence[int]:
    """The text tokens that a language's transcripts have most often."""
    found = read(
        lake,
        """SELECT tokens FROM segments JOIN transcripts USING (transcript_id)
           WHERE language = $language""",
        language=language,
    )
    every = Counter(token for row in found["tokens"].to_pylist() for token in row if token < 50257)
    return [token for token, _ in every.most_common(count)]


def test_an_option_that_hurts_one_language_trips_the_gate_for_that_language_alone(
    lake: Lake, archive: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    transcribe(lake, archive)  # a night like the last one, transcribed anew
    assert alarms(lake) == []

    others = {*frequent_tokens(lake, "en", 500), *frequent_tokens(lake, "zh", 500)}
    forbidden = [token for token in frequent_tokens(lake, "ru", 30) if token not in others]
    assert len(forbidden) > 5
    transcribe(lake, archive, suppress_tokens=",".join(map(str, [-1, *forbidden])))
    [alarm] = alarms(lake)
    assert alarm.startswith("Russian (ru) of three, transcribe: WER ")
    assert "on 9 recordings" in alarm
    assert alarm.count(f"{archive}!/ru-0") == 5

    gate = tmp_path / "gate.toml"
    gate.write_text("")
    report = tmp_path / "report"
    shell = ["evaluate", "--lake", lake.uri, "--gate", str(gate), "--out", str(report)]
    assert cli.main(shell) == 3
    said = capsys.readouterr()
    assert said.err.count("worse: Russian") == 1
    assert "1 of 6 figures are worse than the baseline" in said.out
    assert "Russian (ru) of three" in (report / "report.html").read_text()
    assert "Against the baseline" in (report / "report.md").read_text()
    # What the report gives as a query finds the segments of that transcript.
    page = html.unescape((report / "report.html").read_text())
    query = re.findall(r'nightscribe sql <code>"(SELECT [^"]+)"', page)[0]
    assert read(lake, query).num_rows > 0
    assert "<dt>RTFx</dt>" in page
    assert re.search(r'<dd>\{.*"suppress_tokens": "-1,\d+', page)
    [kept] = json.loads((report / "comparison.json").read_text())["alarms"]
    assert kept == alarm

    gate.write_text('action = "warn"')
    assert cli.main(shell) == 0
    assert capsys.readouterr().err.count("warning: Russian") == 1
    gate.write_text("alpha = 2")
    assert cli.main(shell) == 2
    assert f"--gate {gate}: `alpha` is 2" in capsys.readouterr().err

    # Two systems of one lake, whichever came first.
    [bad_key] = read(lake, "SELECT options_key FROM transcripts ORDER BY created_at DESC LIMIT 1")[
        "options_key"
    ].to_pylist()
    gate.write_text("")
    before = lake.table("scores").version()
    assert cli.main([*shell, "--against-options", bad_key]) == 0
    said = capsys.readouterr()
    assert re.search(r"Russian \(ru\) +transcribe +WER %", said.out)
    assert re.search(rf"\b0 of \d figures are worse than options {bad_key}", said.out)
    assert "Against options" in (report / "report.md").read_text()
    assert lake.table("scores").version() == before
    # Both sides by name, as if the other one had come last.
    [good_key] = read(lake, "SELECT options_key FROM transcripts ORDER BY created_at LIMIT 1")[
        "options_key"
    ].to_pylist()
    assert good_key != bad_key
    both = ["--options-key", good_key[:12], "--against-options", bad_key[:12]]
    assert cli.main([*shell, *both]) == 0
    said = capsys.readouterr().out
    assert f"demo, options {good_key[:8]} against demo, options {bad_key[:8]}" in said
    assert cli.main([*shell, "--options-key", bad_key, "--against-options", good_key]) == 3
    assert "worse: Russian" in capsys.readouterr().err
    # The gate over a system that is not the newest.
    assert cli.main([*shell, "--options-key", good_key]) == 0
    assert cli.main([*shell, "--options-key", bad_key]) == 3
    assert lake.table("scores").version() == before
    capsys.readouterr()
    assert cli.main([*shell, "--options-key", bad_key, "--against-options", bad_key]) == 1
    assert "cannot be compared with itself" in capsys.readouterr().err
    assert cli.main([*shell, "--model", "turbo"]) == 1
    assert "no transcript that has a reference is of model 'turbo'" in capsys.readouterr().err
    assert cli.main([*shell, "--against", "turbo"]) == 1
    assert "nothing to compare" in capsys.readouterr().err

    # Whoever wants it so moves the baseline, of that language alone.
    moved = ["baseline", "set", "--lake", lake.uri, "--language", "Russian", "--reason", "cheaper"]
    assert cli.main(moved) == 0
    shown = [line.split() for line in capsys.readouterr().out.splitlines()]
    assert [row[:3] for row in shown if row[-1] == "cheaper"] == [["three", "ru", "transcribe"]]
    assert alarms(lake) == []
    history = read(
        lake, "SELECT language, count(*) AS n FROM baselines GROUP BY language ORDER BY language"
    )
    assert history.to_pylist() == [
        {"language": "en", "n": 9},
        {"language": "ru", "n": 18},
        {"language": "zh", "n": 9},
    ]


def test_a_trial_on_a_few_recordings_is_told_and_does_not_become_the_baseline(
    lake: Lake, archive: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    order = Order((str(archive),), "demo", options={"beam_size": 2}, limit=2)
    run(lake, order, Settings(device="cpu", engine="batched"), say=lambda line: None)
    evaluated = evaluate_lake(lake, "evaluation", Rules())
    assert evaluated is not None
    assert evaluated.against is not None
    assert evaluated.against.alarms == []
    warning, too_few = evaluated.against.warnings
    assert warning.startswith("English (en) of three, transcribe: only 2 of the 9 recordings")
    assert too_few.startswith("English (en) of three, transcribe: too few to tell")
    assert "| 2 of 9 |" in evaluated.reports["report.md"]

    setting = ["baseline", "set", "--lake", lake.uri]
    assert cli.main(setting) == 2
    assert "three, en, transcribe: what was chosen has 2 recordings, the baseline in force 9" in (
        capsys.readouterr().err
    )
    assert cli.main([*setting, "--language", "en", "--may-shrink"]) == 0


def test_a_baseline_of_what_is_not_there_is_not_set(
    lake: Lake, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main(["baseline", "set", "--lake", lake.uri, "--dataset", "four"]) == 1
    assert "nothing to set" in capsys.readouterr().out
    assert set_baselines(lake, "x", Chosen(model="turbo")).num_rows == 0
    assert set_baselines(lake, "x", Chosen(task="translate")).num_rows == 0


def test_a_lake_without_baselines_says_how_to_set_one(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    empty = open_lake(str(tmp_path / "lake"))
    assert cli.main(["baseline", "show", "--lake", empty.uri]) == 1
    assert "nightscribe baseline set" in capsys.readouterr().out
