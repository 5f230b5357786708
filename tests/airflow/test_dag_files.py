"""Promises of the DAG files: they parse fast, import nothing heavy, and say what runs how.

Every look is taken in a process of its own, as Airflow's DAG processor does it.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import pytest
import whisper
import yaml

from nightscribe.airflow.readiness import DAGS
from nightscribe.airflow.run_conf import check_conf
from nightscribe.airflow.standalone import POOLS
from nightscribe.errors import ConfigurationError
from nightscribe.settings import Settings

DAG_FILES = sorted(path.name for path in (Path(__file__).parents[2] / "dags").glob("[!_]*.py"))
HEAVY = {"torch", "whisper", "duckdb", "pyarrow", "deltalake", "av", "matplotlib", "numba"}

# As the DAG processor does it: a process that has Airflow's authoring names loaded is forked
# for each file, so what a file costs is what comes on top of those.
PARSE = """
import importlib.util, json, os, sys, time
from airflow.sdk import Asset, Metadata, Param, dag, task
before = set(sys.modules)
for path in sys.argv[1:]:
    if os.fork():
        os.wait()
        continue
    started = time.perf_counter()
    spec = importlib.util.spec_from_file_location("dag_file", path)
    spec.loader.exec_module(importlib.util.module_from_spec(spec))
    took = time.perf_counter() - started
    print(json.dumps({"took": took, "before": sorted(before), "after": sorted(sys.modules)}))
    sys.stdout.flush()
    os._exit(0)
"""

INSPECT = """
import json, os, sys
from airflow.dag_processing.dagbag import DagBag
for environment in map(json.loads, sys.argv[2:]):
    os.environ.update(environment)
    bag = DagBag(sys.argv[1])
    print(json.dumps({"errors": bag.import_errors, "dags": {dag_id: {
    "schedule": [a.name for a in dag.schedule] if isinstance(dag.schedule, list) else
        dag.schedule if isinstance(dag.schedule, str | None) else type(dag.schedule).__name__,
    "catchup": dag.catchup,
    "max_active_runs": dag.max_active_runs,
    "params": {name: dict(param.schema, default=param.value)
               for name in dag.params for param in [dag.params.get_param(name)]},
    "tasks": {one.task_id: {
        "pool": one.pool,
        "queue": one.queue,
        "retries": one.retries,
        "retry_delay": one.retry_delay.total_seconds(),
        "backoff": one.retry_exponential_backoff,
        "max_retry_delay": one.max_retry_delay and one.max_retry_delay.total_seconds(),
        "timeout": one.execution_timeout and one.execution_timeout.total_seconds(),
        "trigger_rule": one.trigger_rule,
        "mapped": one.is_mapped,
        "upstream": sorted(one.upstream_task_ids),
        "outlets": [asset.name for asset in one.outlets],
    } for one in dag.tasks},
} for dag_id, dag in bag.dags.items()}}))
"""

PLUGINS = """
import json, sys
from airflow import plugins_manager
plugins = plugins_manager._get_plugins()
files = [getattr(module, "__file__", None) for module in list(sys.modules.values())]
print(json.dumps({
    "plugins": [plugin.name for plugin in plugins[0]], "errors": plugins[1],
    "files": [file for file in files if file and file.startswith(sys.argv[1])],
    "modules": sorted(sys.modules),
}))
"""


def _python(script: str, *arguments: object, home: Path) -> list[Any]:
    """Run a script in a fresh process that looks at this checkout; returns the JSON it prints.

    One value for each line that starts like a JSON object.
    """
    repository = Path(__file__).parents[2]
    done = subprocess.run(
        [sys.executable, "-c", script, *map(str, arguments)],
        env={
            **os.environ,
            "PYTHONPATH": f"{repository / 'plugins'}{os.pathsep}{repository}",
            "AIRFLOW_HOME": str(home),
            "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
            "AIRFLOW__CORE__PLUGINS_FOLDER": str(repository / "plugins"),
            "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": f"sqlite:///{home}/airflow.db",
        },
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]


@pytest.fixture(scope="module")
def home(
    tmp_path_factory: pytest.TempPathFactory,
    without_settings: Callable[[], AbstractContextManager[None]],
) -> Iterator[Path]:
    with without_settings():
        yield tmp_path_factory.mktemp("airflow")


@pytest.fixture(scope="module")
def inspected(home: Path, repository: Path) -> list[dict[str, Any]]:
    """What Airflow reads in the DAG files under default settings, and under two others."""
    others = (
        {
            "NIGHTSCRIBE_SCHEDULE": "30 4 * * 1-5",
            "NIGHTSCRIBE_QUEUE": "a100",
            "NIGHTSCRIBE_POOL": "big",
            "NIGHTSCRIBE_RETRY_DELAY_S": "7",
        },
        {"NIGHTSCRIBE_SCHEDULE": "none", "NIGHTSCRIBE_DONE_BY": "06:00"},
        {
            "NIGHTSCRIBE_SCHEDULE": "@hourly",
            "NIGHTSCRIBE_WATCH_S": "60",
            "NIGHTSCRIBE_ARCHIVES": "/x",
        },
    )
    found = _python(INSPECT, repository / "dags", *map(json.dumps, ({}, *others)), home=home)
    assert [one["errors"] for one in found] == [{}, {}, {}, {}]
    return [one["dags"] for one in found]


@pytest.fixture(scope="module")
def dags(inspected: list[dict[str, Any]]) -> dict[str, Any]:
    """What Airflow reads in the DAG files under default settings."""
    return inspected[0]


@pytest.fixture(scope="module")
def parsed(home: Path, repository: Path) -> dict[str, Any]:
    """By DAG file: how long it took to execute, and which modules were there before and after."""
    files = [repository / "dags" / name for name in DAG_FILES]
    return dict(zip(DAG_FILES, _python(PARSE, *files, home=home), strict=True))


@pytest.mark.parametrize("name", DAG_FILES)
def test_dag_file_parses_in_under_a_second_and_imports_nothing_heavy(
    name: str, parsed: dict[str, Any]
) -> None:
    assert parsed[name]["took"] < 1.0
    form = (
        set() if name in ("commit_reviews.py", "maintain_lake.py") else {"nightscribe.airflow.form"}
    )
    assert {"airflow.sdk", *form} <= set(parsed[name]["after"])
    assert not HEAVY & set(parsed[name]["before"]), "Airflow itself brings these"
    assert not HEAVY & set(parsed[name]["after"])


@pytest.mark.parametrize("name", DAG_FILES)
def test_dag_file_does_not_make_airflow_load_its_providers(
    name: str, parsed: dict[str, Any]
) -> None:
    """Cloud providers take seconds to import, which an asset's URI can bring about."""
    clouds = ("airflow.providers.google", "airflow.providers.amazon", "boto3", "google.cloud")
    loaded = set(parsed[name]["after"]) - set(parsed[name]["before"])
    assert [module for module in loaded if module.startswith(clouds)] == []


def test_every_dag_file_holds_the_dag_of_its_name(dags: dict[str, Any]) -> None:
    assert sorted(f"{dag_id}.py" for dag_id in dags) == DAG_FILES
    assert set(DAGS) <= dags.keys()


def test_nightly_dag_runs_once_a_night_and_never_beside_itself(dags: dict[str, Any]) -> None:
    nightly = dags["transcribe_archives"]
    assert nightly["schedule"] == "@daily"
    assert nightly["max_active_runs"] == 1
    assert [dag_id for dag_id, dag in dags.items() if dag["catchup"]] == []


def test_forecast_is_an_alarm_on_which_nothing_depends(inspected: list[dict[str, Any]]) -> None:
    without, _, timed, _ = (one["transcribe_archives"]["tasks"] for one in inspected)
    assert "forecast" not in without
    assert timed["forecast"]["upstream"] == ["plan"]
    assert timed["forecast"]["retries"] == 0
    assert timed["check"]["upstream"] == ["forecast", "publish"]
    assert timed["check"]["trigger_rule"] == "all_done"
    assert timed.keys() - without.keys() == {"forecast"}


def test_nightly_stages_are_in_order_and_the_heavy_ones_are_mapped(dags: dict[str, Any]) -> None:
    tasks = dags["transcribe_archives"]["tasks"]
    assert {name: one["upstream"] for name, one in tasks.items()} == {
        "scan": [],
        "ingest": ["scan"],
        "plan": ["ingest"],
        "transcribe": ["plan"],
        "publish": ["transcribe"],
        "check": ["publish"],
    }
    assert [name for name, one in tasks.items() if one["mapped"]] == ["ingest", "transcribe"]


def test_publish_runs_after_failures_and_tells_evaluation(dags: dict[str, Any]) -> None:
    publish = dags["transcribe_archives"]["tasks"]["publish"]
    assert publish["trigger_rule"] == "all_done"
    assert publish["outlets"] == ["transcripts"]
    assert dags["transcribe_archives"]["tasks"]["check"]["trigger_rule"] == "all_done"
    assert dags["transcribe_upload"]["tasks"]["publish"]["outlets"] == ["transcripts"]
    assert dags["evaluate_transcripts"]["schedule"] == ["transcripts"]


def test_transcription_holds_a_gpu_slot_and_nothing_else_does(dags: dict[str, Any]) -> None:
    held = {
        (dag_id, name, one["queue"])
        for dag_id, dag in dags.items()
        for name, one in dag["tasks"].items()
        if one["pool"] == "gpu"
    }
    assert held == {
        ("transcribe_archives", "transcribe", "gpu"),
        ("transcribe_upload", "transcribe", "gpu"),
    }


def test_nightly_tasks_are_tried_again_with_growing_pauses(dags: dict[str, Any]) -> None:
    tasks = dags["transcribe_archives"]["tasks"]
    for name in ("scan", "ingest", "plan", "transcribe"):
        assert tasks[name]["retries"] >= 2, name
        assert tasks[name]["backoff"], name
        assert 0 < tasks[name]["retry_delay"] < tasks[name]["max_retry_delay"], name


def test_work_on_archives_cannot_hang_for_ever(dags: dict[str, Any]) -> None:
    for dag_id, dag in dags.items():
        for name, one in dag["tasks"].items():
            if name not in {"publish", "check"}:
                assert one["timeout"], f"{dag_id}.{name}"


def test_schedule_queue_pool_and_pause_come_from_the_environment(
    inspected: list[dict[str, Any]],
) -> None:
    dags = inspected[1]
    assert dags["transcribe_archives"]["schedule"] == "30 4 * * 1-5"
    for dag_id in ("transcribe_archives", "transcribe_upload"):
        transcribe = dags[dag_id]["tasks"]["transcribe"]
        assert (transcribe["queue"], transcribe["pool"]) == ("a100", "big")
    assert dags["transcribe_archives"]["tasks"]["transcribe"]["retry_delay"] == 7.0


def test_empty_schedule_leaves_the_nightly_dag_to_be_triggered(
    inspected: list[dict[str, Any]],
) -> None:
    assert inspected[2]["transcribe_archives"]["schedule"] is None


def test_the_nightly_dag_can_also_be_started_by_arrivals(inspected: list[dict[str, Any]]) -> None:
    assert inspected[3]["transcribe_archives"]["schedule"] == "AssetOrTimeSchedule"


def test_form_offers_every_model_there_is(dags: dict[str, Any]) -> None:
    for dag_id in ("transcribe_archives", "transcribe_upload"):
        offered = dags[dag_id]["params"]["model"]["examples"]
        assert len(offered) == len(set(offered))
        assert set(offered) == {*whisper.available_models(), "demo"}


def test_form_can_be_sent_as_it_stands_except_for_the_file_of_an_upload(
    dags: dict[str, Any],
) -> None:
    from jsonschema import Draft202012Validator

    for dag_id in ("transcribe_archives", "transcribe_upload"):
        wrong = [
            name
            for name, schema in dags[dag_id]["params"].items()
            if not Draft202012Validator(schema).is_valid(schema["default"])
        ]
        assert wrong == (["uri"] if dag_id == "transcribe_upload" else [])


def test_every_pool_that_dags_name_is_made(dags: dict[str, Any], repository: Path) -> None:
    named = {one["pool"] for dag in dags.values() for one in dag["tasks"].values()}
    assert named - {"default_pool"} == set(POOLS) == {Settings().pool}
    compose = yaml.safe_load((repository / "docker-compose.yaml").read_text())
    init = " ".join(compose["services"]["airflow-init"]["command"])
    assert set(re.findall(r"airflow pools set (\S+)", init)) == set(POOLS)


def test_airflow_takes_one_small_module_for_a_plugin(home: Path, repository: Path) -> None:
    library = repository / "plugins" / "nightscribe"
    [found] = _python(PLUGINS, f"{library}{os.sep}", home=home)
    assert found["errors"] == {}
    names = ("__init__.py", "airflow/__init__.py", "airflow/plugin.py")
    assert sorted(found["files"]) == [str(library / name) for name in names]
    assert not HEAVY & set(found["modules"])


@pytest.mark.parametrize(
    ("dag_id", "key", "nearest"),
    [
        ("transcribe_archives", "modle", "model"),
        ("transcribe_archives", "archive", "archives"),
        ("transcribe_archives", "Limit", "limit"),
        ("transcribe_archives", "option", "options"),
        ("transcribe_upload", "url", "uri"),
        ("transcribe_upload", "lang", "language"),
        ("transcribe_upload", "archives", None),
        ("evaluate_transcripts", "model", None),
        ("commit_reviews", "force", None),
    ],
)
def test_a_key_that_a_dag_does_not_know_is_refused_with_the_nearest(
    dag_id: str, key: str, nearest: str | None, dags: dict[str, Any]
) -> None:
    known = dags[dag_id]["params"]
    conf = {name: schema["default"] for name, schema in known.items()}
    check_conf(conf, known, conf)
    with pytest.raises(ConfigurationError, match=repr(key)) as refused:
        check_conf({**conf, key: "x"}, known, {**conf, key: "x"})
    hint = re.search("did you mean '(.*?)'", str(refused.value))
    assert (hint[1] if hint else None) == nearest


def test_parameters_that_airflow_ignores_are_refused(dags: dict[str, Any]) -> None:
    known = dags["transcribe_archives"]["params"]
    params = {name: schema["default"] for name, schema in known.items()}
    with pytest.raises(ConfigurationError, match="DAG_RUN_CONF_OVERRIDES_PARAMS"):
        check_conf({"model": "large-v3", "limit": None}, known, params)


@pytest.mark.parametrize("conf", [None, {}, {"limit": 3}, {"options": {"beam_size": 5}}])
def test_what_a_dag_knows_is_taken(conf: dict[str, Any] | None, dags: dict[str, Any]) -> None:
    check_conf(conf, dags["transcribe_archives"]["params"], conf or {})


@pytest.mark.parametrize("dag_id", ["evaluate_transcripts", "commit_reviews", "maintain_lake"])
def test_the_dags_without_parameters_declare_none(dag_id: str, dags: dict[str, Any]) -> None:
    assert dags[dag_id]["params"] == {}
    check_conf({}, dags[dag_id]["params"], {})


def test_the_tutorial_names_every_key_of_a_run(dags: dict[str, Any], repository: Path) -> None:
    page = (repository / "docs" / "tutorials" / "existing_airflow.md").read_text(encoding="utf-8")
    named = re.findall(r"^\| `(\w+)` \|", page, re.M)
    assert sorted(named) == sorted(dags["transcribe_archives"]["params"])
    [of_upload] = re.findall(r"`transcribe_upload` takes (.*)\. The others take none", page)
    assert set(re.findall(r"\w+", of_upload)) - {"and"} == set(dags["transcribe_upload"]["params"])
