"""Baselines, evaluations and systems are the newest by commits, with clocks that go backwards."""

from __future__ import annotations

import shutil
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from evaluation.gate.baselines import set_baselines
from evaluation.gate.rules import Rules
from evaluation.lake import Evaluated, evaluate_lake
from evaluation.pairs.choices import NothingToCompare
from evaluation.pairs.from_lake import pairs
from evaluation.pairs.systems import Chosen, newest_systems
from evaluation.report.trends import history
from nightscribe import cli
from nightscribe.lake.keys import KEYS
from nightscribe.lake.opening import open_lake
from nightscribe.lake.reading import connect, read
from nightscribe.lake.rows import rows_of
from nightscribe.lake.tables import Lake
from tests.evaluation.lakes import judged_lake
from tests.web.conftest import Pages


class Backwards(datetime):
    """A clock that is an hour earlier each time it is read."""

    reads = 0

    @classmethod
    def now(cls, tz: Any = None) -> datetime:
        cls.reads += 1
        return datetime(2026, 11, 28, 12, tzinfo=UTC) - timedelta(hours=cls.reads)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Lake:
    return judged_lake(tmp_path_factory.mktemp("newest"))


@pytest.fixture
def lake(made: Lake, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Lake:
    """A copy, in a world where clocks go backwards."""
    for module in ("evaluation.gate.baselines", "evaluation.lake", "nightscribe.lake.rows"):
        monkeypatch.setattr(f"{module}.datetime", Backwards)
    shutil.copytree(made.uri, tmp_path / "lake")
    return open_lake(str(tmp_path / "lake"))


def transcribe_again(lake: Lake, model: str, text: str) -> None:
    """All German recordings, by another model; its clock is the earliest so far."""
    rows = read(
        lake,
        "FROM transcripts WHERE language = 'de' AND task = 'transcribe' AND model = 'large-v3'",
    ).to_pylist()
    new = [
        {
            **row,
            "transcript_id": f"{model}-{number}",
            "model": model,
            "model_id": model * 8,
            "text": text,
            "created_at": Backwards.now(),
        }
        for number, row in enumerate({row["recording_id"]: row for row in rows}.values())
    ]
    lake.insert_new("transcripts", rows_of("transcripts", new), KEYS["transcripts"])


def test_the_baseline_that_was_set_last_is_in_force(lake: Lake) -> None:
    for number in range(3):
        added = set_baselines(lake, "run", Chosen(), f"reason {number}")
        [identifier] = set(added["baseline_id"].to_pylist())
        found = read(lake, "FROM latest_baselines")
        assert set(found["baseline_id"].to_pylist()) == {identifier}
        assert set(found["reason"].to_pylist()) == {f"reason {number}"}


def test_the_system_that_transcribed_last_is_judged(lake: Lake) -> None:
    for model in ("older", "newer"):
        transcribe_again(lake, model, "Der Nachtzug")
        with connect(lake) as connection:
            newest = newest_systems(pairs(connection)).to_pylist()
        of_german = [row for row in newest if row["language"] == "de"]
        assert {row["model"] for row in of_german if row["task"] == "transcribe"} == {model}


def test_the_evaluation_that_ended_last_is_shown(lake: Lake, tmp_path: Path) -> None:
    evaluated = [evaluate_lake(lake, "run", Rules()), evaluate_lake(lake, "run", Rules())]
    ids = [one.score_id for one in evaluated if isinstance(one, Evaluated)]
    assert set(read(lake, "FROM latest_scores")["score_id"].to_pylist()) == {ids[1]}
    with connect(lake) as connection:
        every = history(connection, 30)["score_id"].to_pylist()
        assert list(dict.fromkeys(every)) == ids
        assert set(history(connection, 1)["score_id"].to_pylist()) == {ids[1]}
    gates = read(lake, "SELECT score_id FROM gates ORDER BY sequence")["score_id"].to_pylist()
    assert gates == ids
    pages = Pages(tmp_path, lake.uri)
    assert f"/quality?evaluation={ids[1]}" in pages.client.get("/").text
    quality = pages.client.get("/quality").text
    assert f"<code>{ids[1]}</code>" in quality
    assert quality.index(f"evaluation={ids[1]}") < quality.index(f"evaluation={ids[0]}")


@pytest.mark.parametrize(
    ("chosen", "why"),
    [
        (Chosen(model="turbo"), "no transcript that has a reference is of model 'turbo'"),
        (Chosen(options_key="ffff"), "no transcript that has a reference is of options 'ffff'"),
        (Chosen(model="large-v3", options_key="9"), "is of model 'large-v3' with options '9'"),
        (Chosen(model=""), "an empty name is every system"),
        (Chosen(model="a"), "every transcript that has a reference is of model 'a'"),
    ],
)
def test_what_could_be_compared_with_is_listed(made: Lake, chosen: Chosen, why: str) -> None:
    with pytest.raises(NothingToCompare) as caught:
        evaluate_lake(made, "run", None, chosen)
    said = str(caught.value)
    assert why in said
    assert [line.split() for line in said.splitlines() if line.startswith("large-v3")] == [
        ["large-v3", "a" * 12, "01234567", "72", "72"]
    ]
    baselines = [line.split()[-6:] for line in said.splitlines() if line.startswith("news")]
    assert baselines == [
        ["<talks>", language, "transcribe", "large-v3", "01234567", "12"]
        for language in ("de", "en")
    ]


def test_digits_of_several_models_are_not_one_of_them(
    lake: Lake, capsys: pytest.CaptureFixture[str]
) -> None:
    for model in ("a1", "a2"):
        transcribe_again(lake, model, "Der Nachtzug")
    assert cli.main(["evaluate", "--lake", lake.uri, "--against", "a"]) == 1
    said = capsys.readouterr()
    assert "model 'a' may be any of a1a1a1a1a1a1a1a1, a2a2a2a2a2a2a2a2, aaaa" in said.err
    assert said.out == ""
    assert cli.main(["evaluate", "--lake", lake.uri, "--against", "a1"]) == 0
    assert "than a1 by more" in capsys.readouterr().out


def test_systems_without_a_common_recording_are_not_compared(lake: Lake) -> None:
    [one] = read(lake, "FROM transcripts WHERE language = 'zh' LIMIT 1").to_pylist()
    other = {**one, "transcript_id": "x", "model": "lone", "model_id": "lone"}
    lake.delete(
        "transcripts",
        rows_of("transcripts", [one]).select(KEYS["transcripts"]),
        KEYS["transcripts"],
    )
    lake.insert_new("transcripts", rows_of("transcripts", [other]), KEYS["transcripts"])
    with pytest.raises(NothingToCompare, match="no recording with a reference both"):
        evaluate_lake(lake, "run", None, Chosen(model="lone"))
