"""The gate as a task: a language that fell behind its baseline fails the run, after the report."""

from __future__ import annotations

import shutil
import sqlite3
import subprocess
import sys
import uuid
from collections.abc import Callable
from contextlib import AbstractContextManager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pyarrow as pa

from evaluation.baselines import Chosen, set_baselines
from nightscribe.airflow.standalone import Standalone, free_port
from nightscribe.lake.schema import SCHEMAS
from nightscribe.lake.store import Lake, open_lake


def transcribe_worse(lake: Lake) -> None:
    """What the same model might give with other options: every recording's last words are lost."""
    found = lake.read("SELECT * FROM transcripts WHERE task = 'transcribe'").to_pylist()
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
    dags_test: Any,
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
    airflow = Standalone(tmp_path / "airflow", free_port(), environment=settings)
    with without_settings():
        airflow.prepare()
        done = subprocess.run(
            [sys.executable, "-m", "airflow", "dags", "test", "evaluate_transcripts"],
            env=airflow.env(),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )
    assert "English (en) of archive, transcribe: WER" in done.stdout, done.stdout
    assert "worse by" in done.stdout
    assert "en-01.flac" in done.stdout
    with sqlite3.connect(airflow.home / "airflow.db") as database:
        states = dict(database.execute("SELECT task_id, state FROM task_instance").fetchall())
    assert states == {"score": "success", "publish": "success", "gate": "failed"}
    report = Path(lake.uri) / "reports" / "latest" / "report.html"
    assert "Against the baseline" in report.read_text()
