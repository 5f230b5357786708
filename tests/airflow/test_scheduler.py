"""Promises of the DAGs under a real scheduler: a private Airflow that these tests start.

The last test stops it and looks whether anything is left; the others do not depend on
each other's order.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import duckdb
import httpx
import pytest

from nightscribe.airflow.metrics import METRICS
from nightscribe.airflow.plugin import POOLS_PREFIX
from nightscribe.airflow.standalone import POOLS, free_port
from nightscribe.lake.opening import open_lake
from nightscribe.settings import Settings
from nightscribe.stages.night import run
from nightscribe.stages.order import Order
from tests.airflow.otlp import Collector
from tests.waiting import until
from tools.airflow_api import AirflowApi

NIGHTLY, EVALUATE, UPLOAD = "transcribe_archives", "evaluate_transcripts", "transcribe_upload"
REVIEWS = "commit_reviews"
Ask = Callable[..., list[tuple[Any, ...]]]


@dataclass(frozen=True)
class Night:
    """A run of the nightly DAG that went well."""

    archive: Path
    run_id: str
    evaluation: dict[str, Any]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("scheduler")


@pytest.fixture(scope="module")
def lake(folder: Path) -> Path:
    return folder / "lake"


@pytest.fixture(scope="module")
def archive(folder: Path, make_archive: Callable[..., Path]) -> Path:
    """Two recordings, and a text that calls itself audio: what NIGHTSCRIBE_ARCHIVES names."""
    return make_archive(
        folder / "archive", "german/de-01.flac", "german/de-02.mp3", "bad/notes.mp3"
    )


@pytest.fixture(scope="module")
def collector() -> Iterator[Collector]:
    """Where this Airflow sends its metrics."""
    collector = Collector()
    yield collector
    collector.close()


@pytest.fixture(scope="module")
def airflow(
    folder: Path,
    collector: Collector,
    lake: Path,
    archive: Path,
    samples: Path,
    settings_of: Callable[..., dict[str, str]],
    without_settings: Callable[[], AbstractContextManager[None]],
) -> Iterator[AirflowApi]:
    """An Airflow whose settings name a lake and an archive of their own; both DAGs unpaused."""
    environment = settings_of(
        lake,
        NIGHTSCRIBE_ARCHIVES=str(archive),
        NIGHTSCRIBE_TASK="both",
        NIGHTSCRIBE_UPLOAD_PLACES=str(samples),
        **collector.environment,
    )
    airflow = AirflowApi(folder / "airflow", free_port(), environment=environment)
    with without_settings():
        airflow.start()
    try:
        for dag_id in (NIGHTLY, EVALUATE, UPLOAD):
            airflow.wait_for_dag(dag_id)
        for dag_id in (NIGHTLY, UPLOAD):
            airflow.unpause(dag_id)
        yield airflow
    finally:
        airflow.stop()


@pytest.fixture(scope="module")
def night(airflow: AirflowApi, archive: Path) -> Night:
    """A triggered run with nothing but the settings, and the evaluation that it started, over."""
    airflow.unpause(EVALUATE)
    run_id = airflow.trigger(NIGHTLY)
    assert airflow.wait_for_run(NIGHTLY, run_id, 180) == "success"
    [evaluation] = until("a run of the evaluation", lambda: airflow.runs(EVALUATE))
    assert airflow.wait_for_run(EVALUATE, evaluation["dag_run_id"], 120) == "success"
    airflow.api("PATCH", f"/dags/{EVALUATE}", json={"is_paused": True})
    return Night(archive, run_id, evaluation)


def test_every_metric_is_sent_and_the_dashboard_asks_for_no_other(
    night: Night, collector: Collector, repository: Path
) -> None:
    sent = until(
        "the metrics of all tasks",
        lambda: (found := _own(collector.metrics)).keys() >= METRICS.keys() and found,
    )
    assert sent.keys() == METRICS.keys()
    counters = {name for name, meaning in METRICS.items() if meaning.startswith("counter")}
    assert {name for name, kind in sent.items() if kind == "sum"} == counters
    # As the collector's exporter for Prometheus spells them.
    spelled = {
        f"airflow_{name.replace('.', '_')}{'_total' * (name in counters)}" for name in METRICS
    }
    dashboard = (repository / "deploy" / "grafana" / "nightscribe.json").read_text()
    assert set(re.findall(r"airflow_\w+", dashboard)) == spelled
    by = set(re.findall(r"by \(([^)]*)\)", dashboard))
    labels = {label.strip() for one in by for label in one.split(",")}
    assert labels <= set().union(*_own(collector.tags).values())
    guide = (repository / "docs" / "deployment.md").read_text()
    assert [
        name for name, meaning in METRICS.items() if f"| `{name}` | {meaning} |" not in guide
    ] == []


def _own(of_metrics: dict[str, Any]) -> dict[str, Any]:
    """Those of Nightscribe, without Airflow's prefix."""
    mark = "airflow."
    return {
        name.removeprefix(mark): value
        for name, value in dict(of_metrics).items()
        if name.startswith(f"{mark}nightscribe.")
    }


def _states(airflow: AirflowApi, dag_id: str, run_id: str) -> dict[str, str]:
    return {task["task_id"]: task["state"] for task in airflow.tasks(dag_id, run_id)}


def _log(airflow: AirflowApi, task: dict[str, Any]) -> str:
    """A task's log of all its tries, as the UI would show it."""
    path = "/dags/{dag_id}/dagRuns/{dag_run_id}/taskInstances/{task_id}/logs/".format(**task)
    tries = [
        airflow.api("GET", f"{path}{number}", params={"map_index": task["map_index"]})
        for number in range(1, task["try_number"] + 1)
    ]
    return json.dumps([one["content"] for one in tries], ensure_ascii=False)


def _task(airflow: AirflowApi, dag_id: str, run_id: str, task_id: str) -> dict[str, Any]:
    [task] = [one for one in airflow.tasks(dag_id, run_id) if one["task_id"] == task_id]
    return task


def _told(airflow: AirflowApi, run_id: str) -> dict[str, Any]:
    """What the run's asset event carries."""
    [event] = airflow.api("GET", "/assets/events", params={"source_run_id": run_id})["asset_events"]
    extra: dict[str, Any] = event["extra"]
    return extra


def _processes(airflow: AirflowApi) -> list[int]:
    """Every process of this Airflow: started with its AIRFLOW_HOME, in its session, or a child.

    One mark would not do: a process that changes its title overwrites its environment.
    """
    leader = int(airflow.pid_file.read_text()) if airflow.pid_file.exists() else -1
    mark = f"AIRFLOW_HOME={airflow.home.resolve()}".encode()
    found, parents = set(), {}
    for entry in Path("/proc").iterdir():
        try:
            pid = int(entry.name)
            # After the name, which may hold anything: state, parent, group, session …
            status = (entry / "stat").read_text().rpartition(")")[2].split()
            parents[pid] = int(status[1])
            if int(status[3]) == leader or mark in (entry / "environ").read_bytes().split(b"\0"):
                found.add(pid)
        except (ValueError, FileNotFoundError, ProcessLookupError, PermissionError):
            continue
    while more := {pid for pid, parent in parents.items() if parent in found} - found:
        found |= more
    return sorted(found)


def _task_process(airflow: AirflowApi, run_id: str, try_number: int) -> int | None:
    """Id of the process that runs the transcribe task's code in this try; None if not running."""
    tasks = [one for one in airflow.tasks(NIGHTLY, run_id) if one["task_id"] == "transcribe"]
    if not tasks or (tasks[0]["state"], tasks[0]["try_number"]) != ("running", try_number):
        return None
    title = f"airflow worker -- {tasks[0]['id']}".encode()
    for entry in Path("/proc").iterdir():
        try:
            if entry.name.isdigit() and (entry / "cmdline").read_bytes().startswith(title):
                return int(entry.name)
        except (FileNotFoundError, ProcessLookupError):
            continue
    return None


def _has_decoder(pid: int) -> bool:
    """Whether a process has started one that decodes audio. Fails the test if it is gone."""
    for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split():
        try:
            if b"nightscribe.audio.worker_program" in Path(f"/proc/{child}/cmdline").read_bytes():
                return True
        except FileNotFoundError:
            continue
    return False


def test_nightly_run_fills_the_tables(
    airflow: AirflowApi, night: Night, lake: Path, ask: Ask
) -> None:
    assert set(_states(airflow, NIGHTLY, night.run_id).values()) == {"success"}
    members = "SELECT member FROM sources WHERE collection = ? ORDER BY ALL"
    assert ask(lake, members, night.archive.as_uri()) == [
        ("german/de-01.flac",),
        ("german/de-02.mp3",),
    ]
    rejected = "SELECT uri, reason FROM rejected WHERE starts_with(uri, ?)"
    assert ask(lake, rejected, night.archive.as_uri()) == [
        (f"{night.archive.as_uri()}!/bad/notes.mp3", "not_audio")
    ]
    made = ask(
        lake,
        """SELECT member, task, language, model FROM transcripts JOIN sources USING (recording_id)
           WHERE transcripts.run_id = ? ORDER BY ALL""",
        night.run_id,
    )
    assert made == [
        (member, task, "de", "demo")
        for member in ("german/de-01.flac", "german/de-02.mp3")
        for task in ("transcribe", "translate")
    ]


def test_asset_event_carries_what_the_run_made(
    airflow: AirflowApi, night: Night, lake: Path
) -> None:
    told = _told(airflow, night.run_id)
    assert (told["transcripts"], told["recordings"], told["lake"]) == (4, 2, str(lake))
    assert told["totals"]["rejected"] == 1
    assert told["audio_s"] > 0


def test_transcribe_logs_its_progress_and_speed(airflow: AirflowApi, night: Night) -> None:
    log = _log(airflow, _task(airflow, NIGHTLY, night.run_id, "transcribe"))
    assert "transcribe: 4/4" in log
    assert "RTFx" in log


def _lines(airflow: AirflowApi, run_id: str, task_id: str) -> list[dict[str, Any]]:
    """The lines that Nightscribe's code has logged in a mapped task's first try, with fields."""
    folder = airflow.home / "logs" / f"dag_id={NIGHTLY}" / f"run_id={run_id}"
    file = folder / f"task_id={task_id}" / "map_index=0" / "attempt=1.log"
    lines = [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines()]
    return [line for line in lines if line["logger"].split(".")[0] == "nightscribe"]


def test_log_lines_carry_run_batch_and_recording_as_fields(
    airflow: AirflowApi,
    night: Night,
    folder: Path,
    lake: Path,
    make_archive: Callable[..., Path],
    ask: Ask,
) -> None:
    """A file is replaced by another between plan and transcribe."""
    archive = make_archive(folder / "replaced", "german/de-04.wav", "german/de-06.wav")
    _slots(airflow, 0)
    try:
        run_id = airflow.trigger(NIGHTLY, {"archives": [str(archive)], "task": "transcribe"})
        until("the plan", lambda: _states(airflow, NIGHTLY, run_id).get("plan") == "success")
        (archive / "german" / "de-04.wav").write_bytes(b"RIFF")
    finally:
        _slots(airflow, 1)
    assert airflow.wait_for_run(NIGHTLY, run_id, 120) == "success"

    [(batch_id,)] = ask(lake, "SELECT batch_id FROM batches WHERE run_id = ?", run_id)
    of_batch = _lines(airflow, run_id, "transcribe")
    assert len(of_batch) >= 3  # the rejection, the progress, the summary
    assert {(line["run_id"], line["batch_id"]) for line in of_batch} == {(run_id, batch_id)}
    [(recording_id,)] = ask(
        lake, "SELECT recording_id FROM rejected WHERE reason = 'changed' AND run_id = ?", run_id
    )
    about = [line for line in of_batch if "recording_id" in line]
    assert [(line["recording_id"], line["reason"], line["level"]) for line in about] == [
        (recording_id, "changed", "warning")
    ]

    notes = night.archive / "bad" / "notes.mp3"
    [rejected] = [line for line in _lines(airflow, night.run_id, "ingest") if "reason" in line]
    assert (rejected["run_id"], rejected["reason"]) == (night.run_id, "not_audio")
    assert rejected["uri"] == f"{night.archive.as_uri()}!/bad/notes.mp3"
    assert rejected["recording_id"] == hashlib.sha256(notes.read_bytes()).hexdigest()


@pytest.mark.skipif(shutil.which("jq") is None, reason="jq is not installed")
def test_the_query_of_the_guide_lists_what_was_rejected(
    airflow: AirflowApi, night: Night, repository: Path
) -> None:
    guide = (repository / "docs" / "deployment.md").read_text(encoding="utf-8")
    [query] = re.findall(r"^jq .*$", guide, re.M)
    listed = subprocess.run(
        query, shell=True, cwd=airflow.home, capture_output=True, text=True, check=True
    ).stdout.splitlines()
    notes = hashlib.sha256((night.archive / "bad" / "notes.mp3").read_bytes()).hexdigest()
    assert [night.run_id, "not_audio", notes] in [line.split("\t")[:3] for line in listed]


def test_new_transcripts_start_the_evaluation(night: Night, lake: Path, ask: Ask) -> None:
    assert night.evaluation["run_type"] == "asset_triggered"
    metrics = ask(
        lake,
        """SELECT DISTINCT task, metric FROM scores
           WHERE run_id = ? AND language = 'de' AND headline OR metric = 'bleu' ORDER BY ALL""",
        night.evaluation["dag_run_id"],
    )
    assert metrics == [("transcribe", "wer"), ("translate", "bleu")]
    assert "<html" in (lake / "reports" / "latest" / "report.html").read_text()[:500].lower()


def test_second_run_transcribes_nothing_and_says_so(
    airflow: AirflowApi, night: Night, lake: Path, content: Callable[..., Any]
) -> None:
    """Triggered with what the form sends once its fields were filled and emptied again."""
    before = content(lake, night.archive)
    assert len(before["transcripts"]) == 4
    emptied = {"archives": [""], "model": None, "task": None, "language": None, "options": {}}
    run_id = airflow.trigger(NIGHTLY, {**emptied, "force": False, "limit": None})
    assert airflow.wait_for_run(NIGHTLY, run_id, 120) == "success"
    assert _states(airflow, NIGHTLY, run_id) == {
        "scan": "success",
        "ingest": "skipped",
        "plan": "success",
        "transcribe": "skipped",
        "publish": "success",
        "check": "success",
    }
    assert _told(airflow, run_id)["transcripts"] == 0
    log = _log(airflow, _task(airflow, NIGHTLY, run_id, "publish"))
    assert "nothing was transcribed" in log
    assert content(lake, night.archive) == before


def test_killed_transcribe_task_is_finished_by_its_retries(
    airflow: AirflowApi,
    folder: Path,
    lake: Path,
    make_archive: Callable[..., Path],
    content: Callable[..., Any],
) -> None:
    """Killed once amid the recordings and once amid the commit; the tables show no trace."""
    clips = ("en-01.flac", "en-02.mp3", "en-03.ogg", "en-04.wav")
    archive = make_archive(folder / "killed", *(f"english/{clip}" for clip in clips))
    run_id = airflow.trigger(NIGHTLY, {"archives": [str(archive)], "task": "both"})

    pid = until("the first try", lambda: _task_process(airflow, run_id, 1))
    until("the engine at work", lambda: _has_decoder(pid), every_s=0.005)
    os.kill(pid, signal.SIGKILL)
    assert content(lake, archive)["transcripts"] == []

    log = lake / "segments" / "_delta_log"
    committed = len(list(log.glob("*.json")))
    pid = until("the second try", lambda: _task_process(airflow, run_id, 2))
    until("its segments", lambda: len(list(log.glob("*.json"))) > committed, every_s=0.001)
    os.kill(pid, signal.SIGKILL)
    assert content(lake, archive)["transcripts"] == []

    assert airflow.wait_for_run(NIGHTLY, run_id, 180) == "success"
    assert _task(airflow, NIGHTLY, run_id, "transcribe")["try_number"] == 3
    undisturbed = folder / "undisturbed"
    order = Order((str(archive),), "demo", "both")
    run(open_lake(str(undisturbed)), order, Settings(device="cpu", threads=1))
    expected = content(undisturbed, archive)
    assert len(expected["transcripts"]) == 8
    assert content(lake, archive) == expected


def test_batch_that_fails_for_good_fails_the_run_and_publishes_the_rest(
    airflow: AirflowApi,
    folder: Path,
    lake: Path,
    make_archive: Callable[..., Path],
    demo_checkpoint: Path,
) -> None:
    """A model file is replaced by another between plan and transcribe."""
    import torch

    archive = make_archive(folder / "other", "german/de-03.ogg")
    model = folder / "model.pt"
    model.write_bytes(demo_checkpoint.read_bytes())
    _slots(airflow, 0)
    try:
        run_id = airflow.trigger(NIGHTLY, {"archives": [str(archive)], "model": str(model)})
        until("the plan", lambda: _states(airflow, NIGHTLY, run_id).get("plan") == "success")
        checkpoint = torch.load(model, weights_only=True)
        next(iter(checkpoint["model_state_dict"].values())).view(-1)[0] += 1
        torch.save(checkpoint, model)
    finally:
        _slots(airflow, 1)

    assert airflow.wait_for_run(NIGHTLY, run_id, 120) == "failed"
    states = _states(airflow, NIGHTLY, run_id)
    # What is finished is published, and so evaluated; the last task fails the run.
    assert (states["transcribe"], states["publish"]) == ("failed", "success")
    assert states["check"] == "failed"
    transcribe = _task(airflow, NIGHTLY, run_id, "transcribe")
    assert transcribe["try_number"] == 3
    assert "give every worker the same file" in _log(airflow, transcribe)
    check = _log(airflow, _task(airflow, NIGHTLY, run_id, "check"))
    assert "1 tasks of this run failed" in check
    assert "transcribe[0]: model " in check
    assert "give every worker the same file" in check
    with duckdb.connect(str(lake / "catalog.duckdb"), read_only=True) as catalog:
        query = "SELECT member FROM sources WHERE collection = ?"
        assert catalog.execute(query, [archive.as_uri()]).fetchall() == [("german/de-03.ogg",)]


def _slots(airflow: AirflowApi, slots: int) -> None:
    body = {"pool": "gpu", "slots": slots, "include_deferred": False}
    airflow.api("PATCH", "/pools/gpu", json=body)


def test_upload_gives_its_texts_and_a_bad_one_its_reason(
    airflow: AirflowApi, samples: Path, lake: Path
) -> None:
    good, bad = samples / "german" / "de-05.m4a", samples / "bad" / "silent-film.mp4"
    runs = {
        path: airflow.trigger(UPLOAD, {"uri": str(path), "task": "both"}) for path in (good, bad)
    }
    assert airflow.wait_for_run(UPLOAD, runs[good], 120) == "success"
    path = f"/dags/{UPLOAD}/dagRuns/{runs[good]}/taskInstances/publish/xcomEntries/result"
    result = airflow.api("GET", path)["value"]
    assert "kalt" in result["texts"]["transcribe"]
    assert "cold in Vienna" in result["texts"]["translate"]
    files = {Path(file) for file in result["files"]}
    assert files == {
        lake / "uploads" / result["recording_id"] / f"de-05.m4a{task}.{fmt}"
        for task in ("", ".translate")
        for fmt in ("txt", "vtt", "srt", "tsv", "json")
    }
    assert all(file.stat().st_size for file in files)

    assert airflow.wait_for_run(UPLOAD, runs[bad], 120) == "failed"
    assert _states(airflow, UPLOAD, runs[bad])["transcribe"] == "upstream_failed"
    log = _log(airflow, _task(airflow, UPLOAD, runs[bad], "ingest"))
    assert "silent-film.mp4 cannot be transcribed: no_audio_stream" in log


def test_what_cannot_run_says_so_at_once_and_is_not_tried_again(
    airflow: AirflowApi, night: Night, samples: Path, lake: Path
) -> None:
    """Unknown keys, a file of another place, and a pool that nobody has made."""
    talk = {"uri": str(samples / "german" / "de-05.m4a")}
    airflow.api("DELETE", "/pools/gpu")
    try:
        # The recordings of that night are pending once more, with another option.
        nightly = airflow.trigger(NIGHTLY, {"options": {"prefix": "so"}})
        no_pool = airflow.trigger(UPLOAD, {**talk, "options": {"prefix": "so"}})
        no_key = airflow.trigger(UPLOAD, {**talk, "lagnuage": "de"})
        no_place = airflow.trigger(UPLOAD, {"uri": str(lake / "lake.json")})
        no_params = airflow.trigger(REVIEWS, {"force": True})
        for run_id in (no_pool, no_key, no_place):
            assert airflow.wait_for_run(UPLOAD, run_id, 120) == "failed"
        assert airflow.wait_for_run(REVIEWS, no_params, 120) == "failed"
        assert airflow.wait_for_run(NIGHTLY, nightly, 120) == "failed"
    finally:
        body = {"name": "gpu", "slots": 1, "description": POOLS["gpu"][1]}
        airflow.api("POST", "/pools", json={**body, "include_deferred": False})

    def refusal(dag_id: str, run_id: str, task_id: str) -> str:
        task = _task(airflow, dag_id, run_id, task_id)
        assert (task["state"], task["try_number"]) == ("failed", 1)
        return _log(airflow, task)

    assert "did you mean 'language'?" in refusal(UPLOAD, no_key, "ingest")
    place = refusal(UPLOAD, no_place, "ingest")
    assert "is not below a place from which uploads are taken" in place
    assert "the DAG has no parameters" in refusal(REVIEWS, no_params, "commit")
    for log in (refusal(UPLOAD, no_pool, "ingest"), refusal(NIGHTLY, nightly, "plan")):
        assert "Airflow has no pool 'gpu'" in log
        assert "airflow pools set gpu 1" in log
    assert "plan: Airflow has no pool 'gpu'" in refusal(NIGHTLY, nightly, "check")
    assert _states(airflow, NIGHTLY, nightly)["scan"] == "success"
    # The address that says so has no login: it answers to tasks that run.
    ended = _task(airflow, UPLOAD, no_pool, "ingest")["id"]
    assert httpx.get(f"{airflow.url}{POOLS_PREFIX}/{ended}").status_code == 404


@pytest.mark.parametrize(
    "conf",
    [{"limit": 0}, {"archives": "/not/a/list"}, {"task": "sing"}, {"options": []}, {"force": "no"}],
    ids=json.dumps,
)
def test_nonsense_in_the_form_is_refused_before_a_run_starts(
    airflow: AirflowApi, conf: dict[str, Any]
) -> None:
    with pytest.raises(httpx.HTTPStatusError) as refused:
        airflow.trigger(NIGHTLY, conf)
    assert refused.value.response.status_code == 400
    assert next(iter(conf)) in refused.value.response.text


def test_form_explains_every_field(airflow: AirflowApi) -> None:
    for dag_id in (NIGHTLY, UPLOAD):
        params = airflow.api("GET", f"/dags/{dag_id}/details")["params"]
        for name, field in params.items():
            assert field["schema"]["title"], name
            assert field["description"], name


def test_stopped_airflow_leaves_no_process_and_listened_on_loopback_alone(
    airflow: AirflowApi, folder: Path, make_archive: Callable[..., Path]
) -> None:
    """Stopped amid a task, whose process has a group of its own."""
    archive = make_archive(folder / "long", "long/long-es.mp3")
    run_id = airflow.trigger(NIGHTLY, {"archives": [str(archive)], "task": "both"})
    task = until("the task", lambda: _task_process(airflow, run_id, 1))
    processes = _processes(airflow)
    assert task in processes
    assert len(processes) >= 5  # api-server, scheduler, dag-processor, triggerer, their parent
    listening = _listening(processes)
    assert ("127.0.0.1", airflow.port) in listening
    assert {address for address, _ in listening} == {"127.0.0.1"}

    assert airflow.stop()

    assert _processes(airflow) == []
    assert [pid for pid in processes if Path(f"/proc/{pid}").exists()] == []
    assert not airflow.running()
    with socket.socket() as probe:
        assert probe.connect_ex(("127.0.0.1", airflow.port)) != 0


def _listening(processes: list[int]) -> set[tuple[str, int]]:
    """Addresses and ports on which these processes take TCP connections."""
    sockets = set()
    for pid in processes:
        for descriptor in Path(f"/proc/{pid}/fd").iterdir():
            try:
                target = os.readlink(descriptor)
            except FileNotFoundError:
                continue
            if target.startswith("socket:["):
                sockets.add(target[8:-1])
    found = set()
    for table, family in (("tcp", socket.AF_INET), ("tcp6", socket.AF_INET6)):
        for line in Path("/proc/net", table).read_text().splitlines()[1:]:
            columns = line.split()
            if columns[3] == "0A" and columns[9] in sockets:  # 0A: listening
                address, port = columns[1].split(":")
                # Words of 32 bits, each in this machine's byte order.
                raw = b"".join(
                    int(address[at : at + 8], 16).to_bytes(4, sys.byteorder)
                    for at in range(0, len(address), 8)
                )
                found.add((socket.inet_ntop(family, raw), int(port, 16)))
    return found
