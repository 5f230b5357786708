"""Promises of `airflow dags test`, which people use to try a DAG without a scheduler."""

from __future__ import annotations

import json
import shutil
import sqlite3
import subprocess
import sys
import uuid
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from evaluation.gate.baselines import set_baselines
from evaluation.pairs.systems import Chosen
from nightscribe.airflow.standalone import Standalone, free_port
from nightscribe.lake.opening import open_lake
from nightscribe.lake.reading import read
from nightscribe.lake.schema import SCHEMAS
from nightscribe.lake.tables import Lake

Ask = Callable[..., list[tuple[Any, ...]]]


@dataclass(frozen=True)
class DagsTest:
    """What `airflow dags test` left behind."""

    archive: Path
    lake: Path
    home: Path
    output: str


def try_dag(airflow: Standalone, order: dict[str, Any]) -> subprocess.CompletedProcess[str]:
    """`airflow dags test transcribe_archives`, with what it prints to both outputs."""
    command = ["dags", "test", "transcribe_archives", "--conf", json.dumps(order)]
    return subprocess.run(
        [sys.executable, "-m", "airflow", *command],
        env=airflow.env(),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )


@pytest.fixture(scope="module")
def dags_test(
    tmp_path_factory: pytest.TempPathFactory,
    make_archive: Callable[..., Path],
    settings_of: Callable[..., dict[str, str]],
    without_settings: Callable[[], AbstractContextManager[None]],
) -> DagsTest:
    """`airflow dags test transcribe_archives` over four clips, in one undisturbed process."""
    folder = tmp_path_factory.mktemp("dags-test")
    clips = ("en-01.flac", "en-02.mp3", "en-03.ogg", "en-04.wav")
    archive = make_archive(folder / "archive", *(f"english/{clip}" for clip in clips))
    lake = folder / "lake"
    airflow = Standalone(folder / "airflow", free_port(), environment=settings_of(lake))
    order = {"archives": [str(archive)], "model": "demo", "task": "both"}
    with without_settings():
        airflow.prepare()
        done = try_dag(airflow, order)
    assert done.returncode == 0, done.stdout
    return DagsTest(archive, lake, airflow.home, done.stdout)


def test_dags_test_fills_every_table(dags_test: DagsTest, ask: Ask) -> None:
    tables = ("recordings", "sources", "rejected", "transcripts", "batches", "reference_texts")
    counts = {table: ask(dags_test.lake, f"SELECT count(*) FROM {table}")[0][0] for table in tables}
    assert counts == {
        "recordings": 4,
        "sources": 4,
        "rejected": 0,
        "transcripts": 8,
        "batches": 1,
        "reference_texts": 8,
    }
    assert ask(dags_test.lake, "SELECT DISTINCT run_id FROM transcripts") == ask(
        dags_test.lake, "SELECT DISTINCT run_id FROM recordings"
    )
    [(text,)] = ask(
        dags_test.lake,
        """SELECT text FROM transcripts JOIN sources USING (recording_id)
           WHERE member = 'english/en-01.flac' AND task = 'transcribe'""",
    )
    assert "red window" in text


def test_published_catalog_answers_without_nightscribe(dags_test: DagsTest) -> None:
    import duckdb

    with duckdb.connect(str(dags_test.lake / "catalog.duckdb"), read_only=True) as catalog:
        rows = catalog.execute("SELECT task, count(*) FROM search GROUP BY ALL ORDER BY ALL")
        assert [task for task, count in rows.fetchall() if count >= 4] == [
            "transcribe",
            "translate",
        ]


def test_asset_event_of_dags_test_carries_counts(dags_test: DagsTest, ask: Ask) -> None:
    with sqlite3.connect(dags_test.home / "airflow.db") as database:
        [(extra, dag_id, task_id)] = database.execute(
            "SELECT extra, source_dag_id, source_task_id FROM asset_event"
        ).fetchall()
    assert (dag_id, task_id) == ("transcribe_archives", "publish")
    told = json.loads(extra)
    assert told["transcripts"] == 8
    assert told["recordings"] == 4
    assert Path(told["catalog"]) == dags_test.lake / "catalog.duckdb"
    [(audio_s,)] = ask(dags_test.lake, "SELECT sum(duration_s) FROM transcripts")
    assert told["audio_s"] == round(audio_s, 3)
    assert told["totals"]["segments"] == ask(dags_test.lake, "SELECT count(*) FROM segments")[0][0]


def test_tasks_log_what_they_did(dags_test: DagsTest) -> None:
    for line in ("4 new recordings", "transcribe: 8/8", "RTFx", "8 transcripts of 4 recordings"):
        assert line in dags_test.output


def test_a_night_that_will_be_late_says_so_and_goes_on(
    dags_test: DagsTest,
    settings_of: Callable[..., dict[str, str]],
    without_settings: Callable[[], AbstractContextManager[None]],
) -> None:
    """The plan is compared with a speed at which a day is not enough."""
    lake = dags_test.home.parent / "late"
    settings = settings_of(lake, NIGHTSCRIBE_DONE_BY="06:00", NIGHTSCRIBE_EXPECTED_RTFX="0.0001")
    airflow = Standalone(dags_test.home, free_port(), environment=settings)
    order = {"archives": [str(dags_test.archive)], "model": "demo"}
    with without_settings():
        done = try_dag(airflow, order)
    assert done.returncode == 0, done.stdout
    assert "min after it is due: add workers" in done.stdout
    with sqlite3.connect(dags_test.home / "airflow.db") as database:
        states = database.execute(
            """SELECT task_id, task_instance.state, dag_run.state FROM task_instance
               JOIN dag_run USING (dag_id, run_id) WHERE run_id IN
               (SELECT run_id FROM task_instance WHERE task_id = 'forecast')"""
        ).fetchall()
    assert {task: state for task, state, _ in states if state != "success"} == {
        "forecast": "failed"
    }
    assert {state for *_, state in states} == {"success"}
    assert lake.is_dir()


# The gate as a task: a language that fell behind its baseline fails the run, after the report


def transcribe_worse(lake: Lake) -> None:
    """What the same model might give with other options: every recording's last words are lost."""
    found = read(lake, "SELECT * FROM transcripts WHERE task = 'transcribe'").to_pylist()
    rows = [
        row
        | {
            "transcript_id": uuid.uuid4().hex,
            "options_key": "0123456789abcdef",
            "text": " ".join(row["text"].split()[:-4]),
            "created_at": datetime.now(UTC),
        }
        for row in found
    ]
    lake.append("transcripts", pa.Table.from_pylist(rows, schema=SCHEMAS["transcripts"]))


def test_the_gate_fails_the_run_after_the_report_is_out(
    dags_test: DagsTest,
    tmp_path: Path,
    settings_of: Callable[..., dict[str, str]],
    without_settings: Callable[[], AbstractContextManager[None]],
) -> None:
    lake = open_lake(str(shutil.copytree(dags_test.lake, tmp_path / "lake")))
    set_baselines(lake, "first", Chosen())
    transcribe_worse(lake)
    # Four recordings prove little: the gate is told to be content with that.
    rules = tmp_path / "gate.toml"
    rules.write_text("alpha = 0.5")
    settings = settings_of(Path(lake.uri), NIGHTSCRIBE_GATE=str(rules))
    home = shutil.copytree(dags_test.home, tmp_path / "airflow")
    airflow = Standalone(home, free_port(), environment=settings)
    with without_settings():
        done = subprocess.run(
            [sys.executable, "-m", "airflow", "dags", "test", "evaluate_transcripts"],
            env=airflow.env(),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )
    assert "English (en) of synthetic, transcribe: WER" in done.stdout, done.stdout
    assert "worse by" in done.stdout
    assert "en-01.flac" in done.stdout
    with sqlite3.connect(airflow.home / "airflow.db") as database:
        states = dict(
            database.execute(
                "SELECT task_id, state FROM task_instance WHERE dag_id = 'evaluate_transcripts'"
            ).fetchall()
        )
    assert states == {"score": "success", "publish": "success", "gate": "failed"}
    report = Path(lake.uri) / "reports" / "latest" / "report.html"
    assert "Against the baseline" in report.read_text()
