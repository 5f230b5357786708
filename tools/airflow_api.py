"""A private Airflow that the demo and the tests drive through its REST API."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

import httpx

from nightscribe.airflow.standalone import Standalone
from nightscribe.errors import NightscribeError

__all__ = ["DrivenAirflow"]


class DrivenAirflow(Standalone):
    """`Standalone`, with what a person does in the UI as methods."""

    def api(self, method: str, path: str, **arguments: Any) -> Any:
        """Call Airflow's REST API (`path` below /api/v2) as the admin; returns its JSON.

        Raises `httpx.HTTPStatusError` for an answer of 400 and above.
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
        """Wait until the DAG was parsed. Raises `NightscribeError` with its import errors."""
        deadline = time.monotonic() + timeout_s
        while True:
            try:
                self.api("GET", f"/dags/{dag_id}")
                return
            except httpx.HTTPStatusError as error:
                if error.response.status_code != 404:
                    raise
            broken = self.api("GET", "/importErrors")["import_errors"]
            if broken or time.monotonic() > deadline:
                raise NightscribeError(f"DAG {dag_id} did not load: {broken or 'time is up'}")
            time.sleep(0.5)

    def unpause(self, dag_id: str) -> None:
        """Let the scheduler run this DAG."""
        self.api("PATCH", f"/dags/{dag_id}", json={"is_paused": False})

    def trigger(self, dag_id: str, conf: Mapping[str, Any] | None = None) -> str:
        """Start a run of an unpaused DAG; returns its run id."""
        body = {"logical_date": None, "conf": dict(conf or {})}
        run: dict[str, str] = self.api("POST", f"/dags/{dag_id}/dagRuns", json=body)
        return run["dag_run_id"]

    def runs(self, dag_id: str) -> list[dict[str, Any]]:
        """Runs of a DAG, newest first."""
        found: list[dict[str, Any]] = self.api(
            "GET", f"/dags/{dag_id}/dagRuns", params={"order_by": "-run_after"}
        )["dag_runs"]
        return found

    def tasks(self, dag_id: str, run_id: str) -> list[dict[str, Any]]:
        """Task instances of a run."""
        path = f"/dags/{dag_id}/dagRuns/{run_id}/taskInstances"
        found: list[dict[str, Any]] = self.api("GET", path, params={"limit": 1000})[
            "task_instances"
        ]
        return found

    def wait_for_run(self, dag_id: str, run_id: str, timeout_s: float) -> str:
        """Wait until a run is over; returns its state. Raises `NightscribeError` on time-out."""
        deadline = time.monotonic() + timeout_s
        while time.monotonic() < deadline:
            state: str = self.api("GET", f"/dags/{dag_id}/dagRuns/{run_id}")["state"]
            if state in {"success", "failed"}:
                return state
            time.sleep(1)
        raise NightscribeError(f"{dag_id} {run_id} was not done after {timeout_s:.0f} s")
