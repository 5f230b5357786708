"""Recordings without speech on a real lake: added, transcribed, scored, judged, shown."""

from __future__ import annotations

import csv
import html
import json
import re
import shutil
import wave
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from evaluation.gate.baselines import set_baselines
from evaluation.gate.rules import Override, Rules
from evaluation.lake import Evaluated, evaluate_lake
from evaluation.pairs.systems import Chosen
from nightscribe import cli
from nightscribe.audio.samples import SAMPLE_RATE
from nightscribe.lake.opening import open_lake
from nightscribe.lake.reading import read
from nightscribe.lake.tables import Lake
from nightscribe.non_speech.catalog import as_steps
from nightscribe.non_speech.sounds import Samples, applause, at_level, hum
from nightscribe.settings import Settings
from nightscribe.stages.night import run
from nightscribe.stages.order import Order
from tests.nights import SAMPLES
from tests.web.conftest import Pages

SENTENCE = "english/en-01.flac"


def write(path: Path, samples: Samples) -> None:
    with wave.open(str(path), "wb") as file:
        file.setparams((1, 2, SAMPLE_RATE, 0, "NONE", ""))
        file.writeframes(as_steps(samples).tobytes())


@pytest.fixture(scope="module")
def archive(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three of applause, for which the demo model has words, three of hum, and a sentence."""
    folder = tmp_path_factory.mktemp("silent") / "archive"
    folder.mkdir()
    rows = [("path", "language", "text", "dataset", "kind")]
    for seed in range(3):
        random = np.random.default_rng(seed)
        clapping = at_level(applause(random, 8 * SAMPLE_RATE, 20), -20)
        humming = at_level(hum(random, (5 + seed) * SAMPLE_RATE, 50), -30)
        for kind, samples in (("applause", clapping), ("hum", humming)):
            write(folder / f"{kind}-{seed}.wav", samples)
            rows.append((f"{kind}-{seed}.wav", "zxx", "", "mixed", kind))
    with (SAMPLES / "manifest.csv").open(newline="", encoding="utf-8") as file:
        [sentence] = [row for row in csv.DictReader(file) if row["path"] == SENTENCE]
    shutil.copyfile(SAMPLES / SENTENCE, folder / "sentence.flac")
    rows.append(("sentence.flac", "en", sentence["text"], "mixed", ""))
    with (folder / "manifest.csv").open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows(rows)
    return folder


@pytest.fixture(scope="module")
def lake(archive: Path, tmp_path_factory: pytest.TempPathFactory) -> Lake:
    """Transcribed with the languages that the manifest states."""
    made = open_lake(str(tmp_path_factory.mktemp("lakes") / "lake"))
    order = Order((str(archive),), "demo", language="manifest")
    run(made, order, Settings(device="cpu", engine="batched"), say=lambda line: None)
    return made


@pytest.fixture(scope="module")
def evaluated(lake: Lake) -> Evaluated:
    limits = {"hallucination_rate": 40.0, "hallucinated_words_per_hour": 100.0}
    rules = Rules(overrides=[Override(dataset="mixed", limits=limits)])
    found = evaluate_lake(lake, "evaluation", rules)
    assert found is not None
    return found


def test_zxx_is_a_reference_and_no_language_of_the_decoder(lake: Lake) -> None:
    references = read(lake, "SELECT language, text FROM reference_texts").to_pylist()
    assert [row["text"] for row in references if row["language"] == "zxx"] == [""] * 6
    hints = read(lake, "SELECT DISTINCT language_hint FROM sources ORDER BY ALL").to_pylist()
    assert [row["language_hint"] for row in hints] == ["en", None]
    transcripts = read(
        lake,
        """SELECT kind, options ->> '$.language' AS given, language, language_probability
           FROM transcripts JOIN (SELECT recording_id, metadata ->> '$.kind' AS kind FROM sources)
           USING (recording_id)""",
    ).to_pylist()
    silent = [row for row in transcripts if row["kind"]]
    assert len(silent) == 6
    assert {row["given"] for row in silent} == {None}
    assert all(row["language"] != "zxx" and row["language_probability"] for row in silent)
    assert [row["given"] for row in transcripts if not row["kind"]] == ["en"]


def test_the_scores_are_those_of_the_transcripts(lake: Lake, evaluated: Evaluated) -> None:
    rows = evaluated.scores.to_pylist()
    scores = {row["metric"]: row for row in rows if row["language"] == "zxx"}
    assert set(scores) == {"hallucination_rate", "hallucinated_words_per_hour"}
    texts = read(
        lake,
        """SELECT text, duration_s FROM transcripts SEMI JOIN
           (FROM reference_texts WHERE language = 'zxx') USING (recording_id)""",
    ).to_pylist()
    with_text = [row for row in texts if row["text"].strip()]
    assert len(with_text) == 3, "the demo model has words for applause, and none for hum"
    assert scores["hallucination_rate"]["value"] == pytest.approx(3 / 6)
    words = sum(len(re.findall(r"\w+", row["text"])) for row in with_text)
    hours = sum(row["duration_s"] for row in texts) / 3600
    assert scores["hallucinated_words_per_hour"]["value"] == pytest.approx(words / hours)
    assert {row["metric"] for row in rows if row["language"] == "en"} >= {"wer", "cer"}
    assert not [row for row in rows if row["metric"] == "lid_accuracy"]
    stored = read(lake, "FROM latest_scores WHERE language = 'zxx'").to_pylist()
    assert {row["metric"]: row["value"] for row in stored} == {
        metric: row["value"] for metric, row in scores.items()
    }
    assert not evaluated.left_out


def test_the_gate_is_closed_by_the_limits(evaluated: Evaluated) -> None:
    worse = evaluated.findings.worse
    assert len(worse) == 2
    start = "No speech (zxx) of mixed, transcribe: "
    assert worse[0].startswith(f"{start}Hallucinated 50.00 % is above its limit of 40.00 %")
    assert "Hallucinated words/h" in worse[1]


def test_the_reports_break_the_kinds_down(evaluated: Evaluated) -> None:
    [section] = json.loads(evaluated.reports["no_speech.json"])
    assert [(row["kind"], row["with_text"]) for row in section["rows"]] == [
        ("all", "3"),
        ("applause", "3"),
        ("hum", "0"),
    ]
    assert len(section["texts"]) == 3
    for name in ("report.html", "report.md"):
        assert "recordings without speech" in evaluated.reports[name]
        assert "applause" in evaluated.reports[name]


def test_every_invented_text_is_listed_with_its_second(lake: Lake, evaluated: Evaluated) -> None:
    rows = read(lake, "FROM utterance_errors WHERE language = 'zxx'").to_pylist()
    assert len(rows) == 6
    assert {row["metric"] for row in rows} == {"hallucinated_words_per_hour"}
    for row in rows:
        assert row["units"] == 0
        assert bool(row["errors"]) == bool(row["listed"])
        assert {error["kind"] for error in row["listed"]} <= {"insertion"}


def test_a_baseline_is_set_and_compared(lake: Lake, evaluated: Evaluated) -> None:
    set_baselines(lake, "baseline", Chosen(languages=["zxx"]))
    again = evaluate_lake(lake, "again")
    assert again is not None
    assert again.against is not None
    compared = again.against.comparison.to_pylist()
    assert {row["metric"] for row in compared} == {
        "hallucination_rate",
        "hallucinated_words_per_hour",
    }
    assert all(row["difference"] == 0 for row in compared)


def text_of(pages: Pages, address: str) -> str:
    answer = pages.client.get(address)
    assert answer.status_code == 200
    return " ".join(html.unescape(re.sub(r"<[^>]*>", " ", answer.text)).split())


def test_pages_say_no_speech(lake: Lake, evaluated: Evaluated, tmp_path: Path) -> None:
    pages = Pages(tmp_path, lake.uri)
    figures = text_of(pages, f"/quality?evaluation={evaluated.score_id}")
    assert "no speech (zxx)" in figures
    assert "HALLUCINATION RATE 50.0 %" in figures
    worst = text_of(pages, f"/quality/{evaluated.score_id}/recordings?language=zxx&sort=errors")
    assert "invented words" in worst
    assert "in 0 words" not in worst
    [row] = read(
        lake, "SELECT recording_id FROM utterance_errors WHERE errors > 0 ORDER BY ALL LIMIT 1"
    ).to_pylist()
    address = f"/recordings/{row['recording_id']}"
    assert "Nobody speaks in it" in text_of(pages, address)
    compared = text_of(pages, f"{address}?reference=mixed")
    assert re.search(r"\d words invented: nobody speaks", compared)
    assert "of 0 words" not in compared
    for queue in ("doubtful", "sample"):
        waiting = text_of(pages, f"/review?queue={queue}&task=transcribe")
        assert "applause" not in waiting
        assert "sentence" not in waiting


def add(archive: Path, lake: Path, *more: str) -> int:
    manifest = str(archive / "manifest.csv")
    return cli.main(["datasets", "add", "manifest", "--path", manifest, "--lake", str(lake), *more])


@pytest.mark.parametrize("chosen", ["zxx", "en", "all"])
def test_a_data_set_says_zxx_and_lacks_no_text(
    chosen: str, archive: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    more = () if chosen == "all" else ("--languages", chosen)
    assert add(archive, tmp_path / "lake", *more) == 0
    said = capsys.readouterr().out
    assert "have no text" not in said
    assert {"zxx": "6 of 6", "en": "1 of 1", "all": "7 of 7"}[chosen] in said
    assert cli.main(["datasets", "list", "--lake", str(tmp_path / "lake")]) == 0
    assert ("zxx" in capsys.readouterr().out) == (chosen != "en")


@pytest.mark.parametrize("column", ["text", "translation", "both"])
def test_a_row_with_a_text_is_refused(
    column: str, archive: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shutil.copyfile(archive / "hum-0.wav", tmp_path / "a.wav")
    cells = {"text": "hello,", "translation": ",hello", "both": "hello,hello"}[column]
    manifest = tmp_path / "manifest.csv"
    manifest.write_text(f"path,language,text,translation\na.wav,zxx,{cells}\n")
    assert add(tmp_path, tmp_path / "lake") == 2
    error = capsys.readouterr().err
    assert "`language` is zxx, which says that nobody speaks, but" in error
    assert not (tmp_path / "lake").exists()


@pytest.mark.parametrize("order", [("zxx", "hello"), ("hello", "zxx"), ("hello", "zxx", "zxx")])
def test_the_same_audio_with_and_without_speech_is_no_reference(
    order: tuple[str, ...], archive: Path, tmp_path: Path
) -> None:
    """Copies in one data set of which one is said to have no speech, whichever comes first."""
    for number, said in enumerate(order):
        folder = tmp_path / f"archive-{number}"
        folder.mkdir()
        shutil.copyfile(archive / "hum-0.wav", folder / "a.wav")
        row = "a.wav,zxx,," if said == "zxx" else f"a.wav,en,{said},"
        (folder / "manifest.csv").write_text(f"path,language,text,dataset\n{row}same\n")
        add(folder, tmp_path / "lake")
    lake = open_lake(str(tmp_path / "lake"))
    found = read(lake, "SELECT count(*) AS n FROM reference_texts").to_pylist()
    assert found == [{"n": 0}]


def test_nobody_speaks_says_nothing_about_a_text_of_another_manifest(
    archive: Path, tmp_path: Path
) -> None:
    """One list says zxx, another has a text and names no language."""
    shutil.copyfile(archive / "hum-0.wav", tmp_path / "a.wav")
    (tmp_path / "own.csv").write_text("path,text,dataset\na.wav,hello,own\n")
    (tmp_path / "listed.csv").write_text("path,language,dataset\na.wav,zxx,listed\n")
    lake = str(tmp_path / "lake")
    for name in ("listed", "own", "listed"):
        manifest = str(tmp_path / f"{name}.csv")
        assert cli.main(["datasets", "add", "manifest", "--path", manifest, "--lake", lake]) == 0
    rows: list[dict[str, Any]] = read(
        open_lake(lake), "SELECT dataset, language, text FROM reference_texts ORDER BY dataset"
    ).to_pylist()
    assert rows == [
        {"dataset": "listed", "language": "zxx", "text": ""},
        {"dataset": "own", "language": "und", "text": "hello"},
    ]
