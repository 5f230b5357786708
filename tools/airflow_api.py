"""Airflow's REST API, for the demo and the tests."""

from __future__ import annotations

import time
from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Any

import httpx

from nightscribe.airflow.standalone import Standalone
from nightscribe.errors import NightscribeError

__all__ = ["AirflowApi", "RestApi"]


class RestApi(ABC):
    """Calls of the REST API of an Airflow that uses `SimpleAuthManager`."""

    @property
    @abstractmethod
    def url(self) -> str:
        """URL of the UI."""

    @property
    @abstractmethod
    def login(self) -> tuple[str, str]:
        """User name and password of the UI."""

    def api(self, method: str, path: str, **arguments: Any) -> Any:
        """Call the REST API as the admin. `path` is below /api/v2. Returns the response's JSON.

        Raises:
            httpx.HTTPStatusError: the status is 400 or above.
        """
        user, password = self.login
        token = httpx.post(
            f"{self.url}/auth/token", json={"username": user, "password": password}, timeout=30
        )
        token.raise_for_status()
        answer = httpx.request(
            method,
            f"{self.url}/api/v2{path}",
            headers={"Authorization": f"Bearer {token.json()['access_token']}"},
            timeout=30,
            **arguments,
        )
        answer.raise_for_status()
        return answer.json() if answer.content else None

    def wait_for_dag(self, dag_id: str, timeout_s: float = 120.0) -> None:
        """Wait until the DAG is parsed. Raises `NightscribeError` with import errors, if any."""
        deadline = time.monotonic() + timeout_s
        while True:
            try:
                self.api("GET", f"/dags/{dag_id}")
                return
            except httpx.HTTPStatusError as error:
                if error.response.status_code != 404:
                    raise
            errors = self.api("GET", "/importErrors")["import_errors"]
            if errors or time.monotonic() > deadline:
                raise NightscribeError(f"DAG {dag_id} did not load: {errors or 'time-out'}")
            time.sleep(0.5)

    def unpause(self, dag_id: str) -> None:
        """Unpause a DAG, so that the scheduler runs it."""
        self.api("PATCH", f"/dags/{dag_id}", json={"is_paused": False})

    def trigger(self, dag_id: str, conf: Mapping[str, Any] | None = None) -> str:
        """Trigger a run of an unpaused DAG; returns its run id."""
        body = {"logical_date": None, "conf": dict(conf or {})}
        run: dict[str, str] = self.api("POST", f"/dags/{dag_id}/dagRuns", json=body)
        return run["dag_run_id"]

    def runs(self, dag_id: str) -> list[dict[str, Any]]:
        """Runs of a DAG, newest first."""
        runs: list[dict[str, Any]] = self.api(
            "GET", f"/dags/{dag_id}/dagRuns", params={"order_by": "-run_after"}
        )["dag_runs"]
        return runs

    def tasks(self, dag_id: str, run_id: str) -> list[dict[str, Any]]:
        """Task instances of a run."""
        path = f"/dags/{dag_id}/dagRuns/{run_id}/taskInstances"
        tasks: list[dict[str, Any]] = self.api("GET", path, params={"limit": 1000})[
            "task_instances"
        ]
        return tasks

    def wait_for_run(self, dag_id: str, run_id: str, timeout_s: float) -> str:
        """Wait until a run ends; returns its state. Raises `NightscribeError` on time-out."""
        deadline = time.monotonic() + timeout_s
        while time.monotonic() < deadline:
            state: str = self.api("GET", f"/dags/{dag_id}/dagRuns/{run_id}")["state"]
            if state in {"success", "failed"}:
                return state
            time.sleep(1)
        raise NightscribeError(f"{dag_id} {run_id} did not end within {timeout_s:.0f} s")


class AirflowApi(Standalone, RestApi):
    """A private Airflow with its REST API."""
