"""Promises of lineage: what tasks report to have read and written, under a real scheduler."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
import yaml

from nightscribe.airflow import lineage
from nightscribe.airflow.lineage import GIVEN, LINEAGE, dataset_uri, note_lineage
from nightscribe.airflow.standalone import free_port
from nightscribe.lake.opening import open_lake
from nightscribe.lake.schema import SCHEMAS
from tests.airflow.openlineage import LineageServer, datasets
from tools.airflow_api import AirflowApi

NIGHTLY, EVALUATE, UPLOAD = "transcribe_archives", "evaluate_transcripts", "transcribe_upload"
REVIEWS = "commit_reviews"

Found = dict[str, tuple[set[tuple[str, str]], set[tuple[str, str]]]]


@dataclass(frozen=True)
class Runs:
    """A run of each DAG, over: their events by job, and their tasks."""

    archive: Path
    upload: Path
    ended: dict[str, list[dict[str, Any]]]
    tasks: list[dict[str, Any]]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("lineage")


@pytest.fixture(scope="module")
def server() -> Iterator[LineageServer]:
    """Where this Airflow sends its lineage."""
    server = LineageServer()
    yield server
    server.close()


@pytest.fixture(scope="module")
def documented(repository: Path) -> dict[str, str]:
    """The settings that the page recommends."""
    page = (repository / "docs" / "deployment.md").read_text(encoding="utf-8")
    [block] = re.findall(r"```yaml\n(AIRFLOW__OPENLINEAGE__.*?)```", page, re.DOTALL)
    settings: dict[str, str] = yaml.safe_load(block)
    return settings


@pytest.fixture(scope="module")
def airflow(
    folder: Path,
    server: LineageServer,
    documented: dict[str, str],
    samples: Path,
    settings_of: Callable[..., dict[str, str]],
    without_settings: Callable[[], AbstractContextManager[None]],
) -> Iterator[AirflowApi]:
    """An Airflow with the provider for OpenLineage, set as the page recommends."""
    pytest.importorskip("airflow.providers.openlineage", reason="its provider is not installed")
    key = "AIRFLOW__OPENLINEAGE__TRANSPORT"
    transport = {**json.loads(documented[key]), "url": server.url}
    environment = settings_of(
        folder / "lake",
        NIGHTSCRIBE_UPLOAD_PLACES=str(samples),
        **{**documented, key: json.dumps(transport)},
    )
    airflow = AirflowApi(folder / "airflow", free_port(), environment=environment)
    with without_settings():
        airflow.start()
    try:
        for dag_id in (NIGHTLY, EVALUATE, UPLOAD, REVIEWS):
            airflow.wait_for_dag(dag_id)
            airflow.unpause(dag_id)
        yield airflow
    finally:
        server.hangs = False
        airflow.stop()


def run_of(airflow: AirflowApi, dag_id: str, conf: dict[str, Any]) -> str:
    """A run that went well."""
    run_id = airflow.trigger(dag_id, conf)
    assert airflow.wait_for_run(dag_id, run_id, 180) == "success"
    return run_id


@pytest.fixture(scope="module")
def runs(
    airflow: AirflowApi,
    server: LineageServer,
    folder: Path,
    samples: Path,
    make_archive: Callable[..., Path],
) -> Runs:
    """A night with a file that is no audio, its evaluation, an upload, a commit of reviews."""
    archive = make_archive(folder / "radio", "german/de-01.flac", "bad/notes.mp3")
    made = {NIGHTLY: run_of(airflow, NIGHTLY, {"archives": [str(archive)], "task": "both"})}
    deadline = time.monotonic() + 60
    while not (evaluations := airflow.runs(EVALUATE)):
        assert time.monotonic() < deadline
        time.sleep(0.5)
    made[EVALUATE] = evaluations[0]["dag_run_id"]
    assert airflow.wait_for_run(EVALUATE, made[EVALUATE], 120) == "success"
    airflow.api("PATCH", f"/dags/{EVALUATE}", json={"is_paused": True})
    upload = samples / "german" / "de-05.m4a"
    made[UPLOAD] = run_of(airflow, UPLOAD, {"uri": str(upload)})
    made[REVIEWS] = run_of(airflow, REVIEWS, {})
    ended = {job: events for run in made.values() for job, events in server.ended(run).items()}
    tasks = [one for dag_id, run in made.items() for one in airflow.tasks(dag_id, run)]
    return Runs(archive, upload, ended, tasks)


def test_every_task_reports_what_it_has_read_and_written_and_nothing_else(
    runs: Runs, folder: Path
) -> None:
    lake, decisions = folder / "lake", folder / "airflow" / "uploads" / ".reviews"

    def named(job: str, names: tuple[str, ...]) -> set[tuple[str, str]]:
        archive = runs.upload if job.startswith(UPLOAD) else runs.archive
        given = {"archives": archive, "decisions": decisions}
        return {("file", str(given.get(name, lake / name))) for name in names}

    expected: Found = {
        job: (named(job, task.inputs), named(job, task.outputs)) for job, task in LINEAGE.items()
    }
    nothing: Found = {f"{NIGHTLY}.check": (set(), set()), f"{EVALUATE}.gate": (set(), set())}
    found: Found = {
        job: (datasets(events, "inputs"), datasets(events, "outputs"))
        for job, events in runs.ended.items()
    }
    assert found == {**expected, **nothing}


def test_every_table_that_a_task_commits_rows_to_is_among_its_outputs(
    runs: Runs, folder: Path
) -> None:
    """By the times of the commits: no two tasks of these runs write at the same time."""
    committed: dict[str, set[str]] = {}
    for log in (folder / "lake").glob("*/_delta_log/*.json"):
        actions = [json.loads(line) for line in log.read_text().splitlines()]
        if not any("add" in action for action in actions):
            continue
        [info] = [action["commitInfo"] for action in actions if "commitInfo" in action]
        for task in runs.tasks:
            start, end = (_ms(task[f"{name}_date"]) for name in ("start", "end"))
            job = f"{task['dag_id']}.{task['task_id']}"
            if job in LINEAGE and start <= info["timestamp"] <= end:
                committed.setdefault(job, set()).add(log.parents[1].name)
    unsaid = {job: tables - set(LINEAGE[job].outputs) for job, tables in committed.items()}
    assert {job: tables for job, tables in unsaid.items() if tables} == {}
    assert set().union(*committed.values()) >= {
        *("account_parts", "annotations", "batches", "recordings", "reference_texts", "rejected"),
        *("scans", "scores", "segments", "sources", "transcripts", "utterance_errors"),
        *("verdicts", "waveforms"),
    }


def _ms(time: str) -> float:
    return datetime.fromisoformat(time).timestamp() * 1000


def test_a_server_that_hangs_neither_fails_a_night_nor_delays_it_much(
    airflow: AirflowApi, runs: Runs, server: LineageServer, documented: dict[str, str]
) -> None:
    """The same night twice, with nothing new; each task sends two events."""

    def took() -> float:
        started = time.monotonic()
        run_id = run_of(airflow, NIGHTLY, {"archives": [str(runs.archive)], "task": "both"})
        done = time.monotonic() - started
        states = [task["state"] for task in airflow.tasks(NIGHTLY, run_id)]
        assert sorted(states) == ["skipped"] * 2 + ["success"] * 4
        return done

    usual = took()
    server.hangs = True
    try:
        delayed = took()
    finally:
        server.hangs = False
    assert server.unanswered >= 8
    limit_s = int(documented["AIRFLOW__OPENLINEAGE__EXECUTION_TIMEOUT"])
    assert delayed < usual + 8 * limit_s


def test_the_page_lists_what_every_task_reads_and_writes(repository: Path) -> None:
    page = (repository / "docs" / "deployment.md").read_text(encoding="utf-8")
    section = page.partition("| job | inputs | outputs |")[2].partition("\n\n")[0]
    rows = re.findall(r"^\| `([\w.]+)` \| (.*) \| (.*) \|$", section, re.M)

    def names(cell: str) -> set[str]:
        tables = set(SCHEMAS) if "every table" in cell else set()
        plain = re.sub(r"`[^`]*`", "", cell)
        return {*re.findall(r"`([^`]+)`", cell), *tables, *(GIVEN & set(re.split(r"\W+", plain)))}

    found = {job: (names(inputs), names(outputs)) for job, inputs, outputs in rows}
    assert found == {job: (set(one.inputs), set(one.outputs)) for job, one in LINEAGE.items()}


@pytest.mark.parametrize(
    ("uri", "expected"),
    [
        ("/radio/2024/", "file:///radio/2024"),
        ("/radio/why? #1", "file:///radio/why%3F %231"),
        ("/radio/me@home", "file:///radio/me@home"),
        ("s3://bucket/radio/", "s3://bucket/radio"),
        ("s3a://bucket/me@home", "s3://bucket/me@home"),
        ("s3://key:secret@bucket/radio", "s3://bucket/radio"),
        ("gs://key@bucket/radio", "gs://bucket/radio"),
        ("s3://key:sec/ret@bucket/radio", None),
        ("s3://key:s@cr/et@bucket/radio", None),
        ("s3://key:secret", None),
    ],
)
def test_no_user_and_no_password_reaches_lineage(uri: str, expected: str | None) -> None:
    assert dataset_uri(uri) == expected


def test_lineage_that_cannot_be_noted_fails_no_task(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Here no task runs, so there is none to note it for."""
    from airflow.sdk import plugins_manager

    lake = open_lake(str(tmp_path / "lake"))
    readers: list[object] = []
    monkeypatch.setattr(plugins_manager, "get_hook_lineage_readers_plugins", lambda: readers)
    noted: list[object] = []
    monkeypatch.setattr(lineage, "_note", lambda *given: noted.append(given) or 1 / 0)
    note_lineage(lake)
    assert (noted, caplog.messages) == ([], [])
    readers.append(object)
    note_lineage(lake)
    assert len(noted) == 1
    assert "not known to lineage: division by zero" in caplog.text
