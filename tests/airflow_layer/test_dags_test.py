"""Promises of `airflow dags test`, which people use to try a DAG without a scheduler."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any

Ask = Callable[..., list[tuple[Any, ...]]]


def test_dags_test_fills_every_table(dags_test: Any, ask: Ask) -> None:
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


def test_published_catalog_answers_without_nightscribe(dags_test: Any) -> None:
    import duckdb

    with duckdb.connect(str(dags_test.lake / "catalog.duckdb"), read_only=True) as catalog:
        rows = catalog.execute("SELECT task, count(*) FROM search GROUP BY ALL ORDER BY ALL")
        assert [task for task, count in rows.fetchall() if count >= 4] == [
            "transcribe",
            "translate",
        ]


def test_asset_event_of_dags_test_carries_counts(dags_test: Any, ask: Ask) -> None:
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


def test_tasks_log_what_they_did(dags_test: Any) -> None:
    for line in ("4 new recordings", "transcribe: 8/8", "RTFx", "8 transcripts of 4 recordings"):
        assert line in dags_test.output
