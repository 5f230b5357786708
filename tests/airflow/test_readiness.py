"""`nightscribe doctor` examines the Airflow of this machine, without importing or creating one."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import pytest

from nightscribe.airflow.standalone import Standalone, free_port


def readiness(environment: dict[str, str]) -> dict[str, dict[str, Any]]:
    """What the examination prints, by name."""
    done = subprocess.run(
        [sys.executable, "-P", "-m", "nightscribe.airflow.readiness"],
        env=environment,
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    rows = json.loads(done.stdout.splitlines()[-1])
    return {row["name"]: row for row in rows}


@pytest.fixture(scope="module")
def airflow(
    tmp_path_factory: pytest.TempPathFactory,
    without_settings: Callable[[], AbstractContextManager[None]],
    settings_of: Callable[..., dict[str, str]],
) -> dict[str, str]:
    """The environment of an Airflow with a database, which does not run."""
    folder = tmp_path_factory.mktemp("airflow")
    with without_settings():
        private = Standalone(folder, free_port(), environment=settings_of(folder / "lake"))
        private._airflow("db", "migrate")
        private._airflow("pools", "set", "gpu", "1", "GPU")
        return private.env()


def test_prepared_airflow_is_ready_and_only_not_running(airflow: dict[str, str]) -> None:
    found = readiness(airflow)
    assert {name: row["state"] for name, row in found.items()} == {
        "airflow": "warn",
        "airflow dags": "ok",
        "airflow pool": "ok",
    }
    assert "does not answer" in found["airflow"]["found"]
    assert "'gpu' has 1 slot" in found["airflow pool"]["found"]


def test_a_scheduler_that_fails_what_waits_for_a_worker_is_named(airflow: dict[str, str]) -> None:
    celery = {**airflow, "AIRFLOW__CORE__EXECUTOR": "CeleryExecutor"}
    found = readiness(celery)["airflow queue"]
    assert found["state"] == "warn"
    assert "waits 30 minutes" in found["found"]
    name = "AIRFLOW__SCHEDULER__NUM_STUCK_IN_QUEUED_RETRIES"
    assert f"{name}=1000" in found["remedy"]
    assert readiness({**celery, name: "1000"})["airflow queue"]["state"] == "ok"


def test_a_notifier_that_is_not_there_is_named(airflow: dict[str, str]) -> None:
    smtp = '[{"notifier": "airflow.providers.smtp.notifications.smtp.SmtpNotifier", "to": "a@b.c"}]'
    found = readiness({**airflow, "NIGHTSCRIBE_NOTIFIERS": smtp})["airflow alerts"]
    assert (found["state"], found["found"]) == ("ok", "failures are told to 1 notifier(s)")
    absent = {**airflow, "NIGHTSCRIBE_NOTIFIERS": smtp.replace("SmtpNotifier", "Absent")}
    found = readiness(absent)["airflow alerts"]
    assert found["state"] == "FAIL"
    assert "smtp.Absent cannot be imported" in found["found"]


def test_an_airflow_for_other_things_is_a_warning(airflow: dict[str, str], tmp_path: Path) -> None:
    found = readiness({**airflow, "AIRFLOW__CORE__DAGS_FOLDER": str(tmp_path)})
    assert {name: row["state"] for name, row in found.items()} == {
        "airflow": "warn",
        "airflow dags": "warn",
    }
    assert "airflow install --dags-folder" in found["airflow dags"]["remedy"]


def test_what_the_nightly_dag_lacks_is_a_failure(airflow: dict[str, str], tmp_path: Path) -> None:
    (tmp_path / "evaluate_transcripts.py").touch()
    broken = {
        "NIGHTSCRIBE_POOL": "absent",
        "AIRFLOW__CORE__DAGS_FOLDER": str(tmp_path),
        "AIRFLOW__API__BASE_URL": "http://airflow.invalid:8080",
    }
    found = readiness({**airflow, **broken})
    assert {name: row["state"] for name, row in found.items()} == {
        "airflow": "FAIL",
        "airflow dags": "FAIL",
        "airflow pool": "FAIL",
    }
    assert "airflow pools set absent 1" in found["airflow pool"]["remedy"]
    assert "transcribe_archives" in found["airflow dags"]["found"]


def test_database_that_cannot_be_read_is_a_failure(airflow: dict[str, str], tmp_path: Path) -> None:
    (tmp_path / "empty.db").touch()
    broken = {"AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": f"sqlite:///{tmp_path / 'empty.db'}"}
    found = readiness({**airflow, **broken})
    assert found["airflow db"]["state"] == "FAIL"
    assert "airflow db migrate" in found["airflow db"]["remedy"]
    absent = {"AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": f"sqlite:///{tmp_path / 'absent.db'}"}
    assert readiness({**airflow, **absent})["airflow db"]["state"] == "warn"
    assert not (tmp_path / "absent.db").exists()


def test_airflow_that_is_not_set_up_is_not_created(tmp_path: Path) -> None:
    environment = {
        name: value for name, value in os.environ.items() if not name.startswith("AIRFLOW_")
    }
    home = tmp_path / "home"
    path = os.pathsep.join(sys.path)
    assert readiness({**environment, "AIRFLOW_HOME": str(home), "PYTHONPATH": path}) == {}
    assert not home.exists()
