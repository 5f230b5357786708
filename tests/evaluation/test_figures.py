"""Figures of whole lakes are those of jiwer and sacrebleu on the same texts."""

from __future__ import annotations

import hashlib
import shutil
from pathlib import Path
from typing import Any

import pytest

from evaluation.gate.baselines import set_baselines
from evaluation.lake import Evaluated, evaluate_lake
from evaluation.pairs.systems import Chosen
from nightscribe.lake.opening import open_lake
from nightscribe.lake.reading import read
from nightscribe.lake.rows import rows_of
from nightscribe.lake.tables import Lake
from tests.evaluation.conftest import SAMPLES
from tools.check_figures import check

LARGE_V3 = "e5b1a55b89c1367dacf97e3e19bfd829a01529dbfdeefa8caeb59b3f1b81dadb"

TEXTS = SAMPLES | {
    "sr": (("Ljubičaste Džez čašice, njen đak!", "љубичасте џез чашице њен ђак"),),
    "yue": (("佢哋今晚喺圖書館。", "佢哋今晚喺图书馆"),),
}
VARIETIES = {
    "zh-CN": (("今天晚上会下雨。", "今天晚上下雨"), ("图书馆在哪里？", "圖書館在哪裡")),
    "zh-TW": (("圖書館在哪裡？", "图书馆在哪里"), ("軟體的發展", "软件的发展")),
    "zh-HK": (("佢哋喺度食嘢。", "他們在這裡吃東西"),),
}
TRANSLATED = ("de", "zh-CN", "zh-TW")


def lake_of(folder: Path) -> Lake:
    """A lake of many languages, and of three varieties of Chinese, as Common Voice 15."""
    lake = open_lake(str(folder))
    rows: dict[str, list[dict[str, Any]]] = {
        "sources": [],
        "reference_texts": [],
        "transcripts": [],
    }
    groups = [(code, None, texts) for code, texts in TEXTS.items() if code != "zh"]
    groups += [("zh", variety, texts) for variety, texts in VARIETIES.items()]
    for language, variety, texts in groups:
        for index, (reference, hypothesis) in enumerate(texts):
            name = f"{variety or language}-{index}"
            recording = hashlib.sha256(name.encode()).hexdigest()
            place = {"archive": "file:///nowhere", "member": f"{name}.wav", "version": "1"}
            rows["sources"].append(
                place
                | {"recording_id": recording, "collection": "file:///nowhere"}
                | {"position": 0, "size_bytes": 1}
            )
            told_in = {"transcribe": (reference, hypothesis)}
            if (variety or language) in TRANSLATED:
                text = f"It rains in {name} tonight."
                told_in["translate"] = (text, text.replace("rains", "rained"))
            for task, (right, told) in told_in.items():
                rows["reference_texts"].append(
                    {"recording_id": recording, "task": task, "dataset": "common_voice_15"}
                    | {"language": language, "variety": variety, "text": right, "split": "test"}
                )
                rows["transcripts"].append(
                    {"transcript_id": f"{name}-{task}", "recording_id": recording, "task": task}
                    | {"model_id": LARGE_V3, "model": "large-v3", "options_key": "0" * 16}
                    | {"options": "{}", "language": language, "text": told, "duration_s": 3.0}
                    | {"segment_count": 0, "engine": "batched", "precision": "float32"}
                    | {"versions": "{}", "batch_id": "b", "attempt_id": "b"}
                )
    for table, content in rows.items():
        lake.append(table, rows_of(table, content, "made"))
    return lake


@pytest.fixture(scope="module")
def lake(tmp_path_factory: pytest.TempPathFactory) -> Lake:
    return lake_of(tmp_path_factory.mktemp("figures") / "lake")


@pytest.fixture(scope="module")
def evaluated(lake: Lake) -> Evaluated:
    set_baselines(lake, "first", Chosen(), "as it came")
    found = evaluate_lake(lake, "run")
    assert found is not None
    return found


def test_figures_of_many_languages_are_those_of_jiwer_and_sacrebleu(
    lake: Lake, evaluated: Evaluated
) -> None:
    count, wrong = check(lake)
    assert wrong == []
    languages = {(row["language"], row["variety"]) for row in evaluated.scores.to_pylist()}
    assert len(languages) >= 15
    assert {("zh", variety) for variety in VARIETIES} < languages
    # English has the Leaderboard's rate; the Chinese languages have that by Whisper's normalizer.
    assert count == len(languages) * 6 + 1 + 4 + len(TRANSLATED) * 2


def test_a_figure_that_is_not_the_libraries_is_found(lake: Lake, evaluated: Evaluated) -> None:
    rows = read(lake, "FROM latest_scores WHERE metric = 'cer' AND language = 'de'").to_pylist()
    [row] = [{**row, "score_id": "forged", "value": row["value"] + 0.01} for row in rows]
    forged = rows_of("scores", [{k: v for k, v in row.items() if k != "created_at"}], "forged")
    other = open_lake(str(shutil.copytree(Path(lake.uri), Path(lake.uri).with_name("forged"))))
    other.append("scores", forged)
    count, wrong = check(other)
    assert count == 1
    assert [line.partition(":")[0] for line in wrong] == ["common_voice_15, de, cer"]


def test_varieties_stay_apart_from_references_to_baselines_verdicts_and_reports(
    lake: Lake, evaluated: Evaluated
) -> None:
    for table in ("reference_texts", "scores", "baselines", "verdicts", "utterance_errors"):
        rows = read(lake, f"SELECT DISTINCT variety FROM {table} WHERE language = 'zh'")
        assert set(rows["variety"].to_pylist()) == set(VARIETIES), table
    assert evaluated.against is not None
    groups = {group[1] for group in evaluated.against.coverage}
    assert set(VARIETIES) < groups
    assert evaluated.against.unguarded == []
    for variety in VARIETIES:
        assert f"Chinese (zh), {variety}" in evaluated.table
        assert f"Chinese (zh), {variety}" in evaluated.reports["report.html"]


def test_each_variety_has_its_own_published_figure_beside_what_was_measured_alike(
    evaluated: Evaluated,
) -> None:
    lines = evaluated.reports["report.md"].splitlines()
    cells = {
        line.split("|")[1].strip(): [cell.strip() for cell in line.split("|")[2:7]]
        for line in lines
        if line.startswith("|") and ("| CER |" in line or "| WER |" in line)
    }
    shown = {label: (row[2], row[3]) for label, row in cells.items()}
    assert shown["Chinese (zh), zh-TW"][0] == "8.2"
    assert shown["Chinese (zh), zh-CN"][0] == "12.8"
    assert shown["Chinese (zh), zh-HK"][0] == "15.9"
    assert shown["Cantonese (yue)"][0] == "10.9"
    assert shown["Korean (ko)"][0] == "5.2"
    assert shown["German (de)"][0] == "5.7"
    scores = {
        (row["variety"] or row["language"], row["metric"]): row["value"]
        for row in evaluated.scores.to_pylist()
    }
    for label, tag, metric in (
        ("Chinese (zh), zh-TW", "zh-TW", "cer_whisper"),
        ("Korean (ko)", "ko", "cer"),
        ("German (de)", "de", "wer"),
    ):
        assert shown[label][1] == f"{scores[tag, metric] * 100:.1f}"
    assert scores["zh-TW", "cer_whisper"] > scores["zh-TW", "cer"]
