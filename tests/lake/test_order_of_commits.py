"""What is newest is what was committed last, whatever the clocks of the machines say."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from multiprocessing.context import ForkServerContext
from pathlib import Path
from typing import Any

import pytest

from nightscribe.lake.keys import KEYS
from nightscribe.lake.opening import open_lake
from nightscribe.lake.reading import read
from nightscribe.lake.rows import rows_of
from nightscribe.lake.tables import Lake
from nightscribe.lake.transcripts import transcripts_of
from tests.lake.test_tables import run_together
from tests.lake.test_views import transcript

OLDER = Path(__file__).parents[1] / "fixtures" / "lake_of_0_1_0" / "lake"
NOON = datetime(2026, 11, 20, 12, tzinfo=UTC)

SCORE = {
    "dataset": "d",
    "language": "en",
    "model_id": "m",
    "model": "demo",
    "task": "transcribe",
    "options_key": "o",
    "metric": "wer",
    "value": 0.1,
    "headline": True,
    "utterances": 1,
    "signature": "s",
}
BASELINE = {
    **{name: SCORE[name] for name in ("dataset", "language", "task", "model_id", "model")},
    "options_key": "o",
    "recording_id": "r",
    "text": "t",
}
ACCOUNT = {"collection": "c", "part": "p", "found": 1, "known": 1, "used": 0, "rejected": 0} | {
    "passed_over": 0,
    "suffixes": [],
}


def backwards(number: int) -> datetime:
    """The time on the clock of the machine that makes the commit with this number."""
    return NOON - timedelta(minutes=5 * number)


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    made = open_lake(str(tmp_path / "lake"))
    made.append("sources", rows_of("sources", [source()], "run"))
    return made


def source(recording: str = "r") -> dict[str, Any]:
    return {
        "archive": "file:///a",
        "member": f"{recording}.wav",
        "recording_id": recording,
        "collection": "file:///a",
        "position": 0,
        "size_bytes": 1,
        "version": "1",
    }


LATEST: dict[str, tuple[str, Callable[[int], dict[str, Any]], str]] = {
    "transcripts": (
        "SELECT transcript_id FROM latest_transcripts",
        lambda number: transcript(f"t{number}", model_id=f"m{number}"),
        "t",
    ),
    "scores": (
        "SELECT score_id FROM latest_scores",
        lambda number: {**SCORE, "score_id": f"s{number}"},
        "s",
    ),
    "baselines": (
        "SELECT baseline_id FROM latest_baselines",
        lambda number: {**BASELINE, "baseline_id": f"b{number}"},
        "b",
    ),
    "account_parts": (
        "SELECT run_id FROM accounts ORDER BY sequence DESC LIMIT 1",
        lambda number: {**ACCOUNT, "run_id": f"run{number}"},
        "run",
    ),
}


@pytest.mark.parametrize("table", LATEST)
def test_the_last_commit_is_the_newest_by_clocks_that_go_backwards(table: str, lake: Lake) -> None:
    query, row, prefix = LATEST[table]
    for number in range(4):
        stamps = {"run_id": "run", **row(number), "created_at": backwards(number)}
        rows = rows_of(table, [stamps])
        if table in KEYS:
            lake.insert_new(table, rows, KEYS[table])
        else:
            lake.append(table, rows)
        assert read(lake, query).to_pylist() == [{query.split()[1]: f"{prefix}{number}"}]


def test_a_transcript_that_is_made_again_is_the_newest(lake: Lake) -> None:
    """`force` replaces the row, and the file has rows of other commits beside it."""
    first = [transcript("a1", model_id="a"), transcript("other", "elsewhere", model_id="a")]
    for number, rows in enumerate((first, [transcript("b1", model_id="b")])):
        stamped = [{**row, "run_id": "run", "created_at": backwards(number)} for row in rows]
        lake.upsert("transcripts", rows_of("transcripts", stamped), KEYS["transcripts"])
    again = {**transcript("a2", model_id="a"), "run_id": "run", "created_at": backwards(2)}
    lake.upsert("transcripts", rows_of("transcripts", [again]), KEYS["transcripts"])
    assert read(lake, "SELECT transcript_id FROM latest_transcripts").to_pylist() == [
        {"transcript_id": "a2"}
    ]
    numbers = read(lake, "SELECT transcript_id, sequence FROM transcripts ORDER BY ALL").to_pylist()
    assert [row["sequence"] for row in numbers] == [3, 2, 1]  # a2, b1, other


def test_the_newest_transcript_of_a_model_is_that_of_its_last_commit(lake: Lake) -> None:
    for number in range(3):
        row = transcript(f"t{number}", options_key=f"o{number}")
        stamped = {**row, "run_id": "run", "created_at": backwards(number)}
        lake.insert_new("transcripts", rows_of("transcripts", [stamped]), KEYS["transcripts"])
    [(found, _)] = transcripts_of(lake, "r", "m")
    assert found["transcript_id"] == "t2"


def test_rows_of_an_older_version_are_older_than_those_that_are_added(tmp_path: Path) -> None:
    lake = open_lake(str(shutil.copytree(OLDER, tmp_path / "lake")))
    before = read(lake, "FROM latest_transcripts WHERE task = 'transcribe' LIMIT 1").to_pylist()[0]
    assert before["sequence"] is None
    new = {
        **before,
        "transcript_id": "new",
        "model_id": "another",
        "created_at": datetime(2000, 1, 1, tzinfo=UTC),
    }
    lake.insert_new("transcripts", rows_of("transcripts", [new]), KEYS["transcripts"])
    [found] = read(
        lake,
        "FROM latest_transcripts WHERE recording_id = $id AND task = 'transcribe'",
        id=before["recording_id"],
    ).to_pylist()
    assert found["transcript_id"] == "new"


def append_with_own_clock(lake: str, name: str) -> None:
    opened = open_lake(lake)
    for number in range(3):
        row = {**SCORE, "score_id": f"{name}{number}", "run_id": name, "created_at": NOON}
        opened.append("scores", rows_of("scores", [row]))


def test_commits_of_racing_processes_have_one_order(nights: ForkServerContext, lake: Lake) -> None:
    run_together(nights, [(append_with_own_clock, (lake.uri, name)) for name in "ab"])
    rows = read(lake, "SELECT run_id, score_id FROM scores ORDER BY sequence").to_pylist()
    numbers = read(lake, "SELECT DISTINCT sequence FROM scores")
    assert len(rows) == numbers.num_rows == 6
    for name in "ab":
        own = [row["score_id"] for row in rows if row["run_id"] == name]
        assert own == [f"{name}{number}" for number in range(3)]
