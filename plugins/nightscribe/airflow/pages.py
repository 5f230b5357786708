"""The pages in Airflow: its users, its rights, its runs."""

from __future__ import annotations

import time
from datetime import UTC, datetime
from typing import Any
from urllib.parse import quote

import httpx
from airflow.api_fastapi.app import cached_app, get_auth_manager
from airflow.api_fastapi.auth.managers.models.base_user import BaseUser
from airflow.api_fastapi.auth.managers.models.resource_details import DagAccessEntity, DagDetails
from airflow.api_fastapi.core_api.security import bearer_scheme, get_user
from airflow.models.dag import DagModel
from fastapi import FastAPI, HTTPException, Request
from starlette.concurrency import run_in_threadpool

from nightscribe.airflow.failures import FAILURE
from nightscribe.airflow.plugin import PREFIX
from nightscribe.credentials import storage_options
from nightscribe.lake.opening import open_to_read
from nightscribe.settings import Settings
from nightscribe.stages.run_ids import CLI_RUN
from nightscribe.web.access import Person, Right
from nightscribe.web.app import create_app
from nightscribe.web.site import Site, Upload, UploadState

__all__ = ["pages"]

_NIGHTLY, _UPLOAD, _REVIEW = "transcribe_archives", "transcribe_upload", "commit_reviews"
_SLOT_S = 30  # there is one run for all decisions of such a time
_WORDS = {"model", "task", "language", "options"}


def pages(base: str) -> FastAPI:
    """The application for an Airflow whose address has this path."""
    settings = Settings()
    return create_app(
        Site(
            settings=settings,
            lake=lambda: open_to_read(settings.lake, storage_options(settings.lake_conn_id)),
            access=_person,
            runs=_Runs(base),
            prefix=f"{base}{PREFIX}",
        )
    )


async def _person(request: Request) -> Person | None:
    """The user, by the token or the cookie of a request, and what they may do with our DAGs.

    Whoever may see the nightly DAG may read; whoever may start the DAG of uploads may upload, and
    whoever may start the DAG that commits reviews may review.
    """
    try:
        user = await get_user(request, None, await bearer_scheme(request))
    except HTTPException:
        return None
    # Some auth managers ask a database or another server.
    rights = await run_in_threadpool(_rights, user)
    return Person(user.get_name(), rights)


def _rights(user: BaseUser) -> frozenset[Right]:
    manager = get_auth_manager()
    rights = set()
    if manager.is_authorized_dag(method="GET", details=_details(_NIGHTLY), user=user):
        rights.add(Right.READ)
    for dag_id, right in ((_UPLOAD, Right.UPLOAD), (_REVIEW, Right.REVIEW)):
        if manager.is_authorized_dag(
            method="POST",
            access_entity=DagAccessEntity.RUN,
            details=_details(dag_id),
            user=user,
        ):
            rights.add(right)
    return frozenset(rights)


def _details(dag_id: str) -> DagDetails:
    return DagDetails(id=dag_id, team_name=DagModel.get_team_name(dag_id))


class _Runs:
    """Calls Airflow's own API inside this process, with the token of the person who asks.

    So Airflow checks the rights and the parameters, and notes who has started the run.
    """

    def __init__(self, base: str) -> None:
        self._base = base

    async def start(self, request: Request, upload: Upload) -> str:
        """Start a run. Returns its id. Raises `HTTPException`."""
        conf = {"uri": upload.path}
        conf |= {name: value for name in _WORDS if (value := getattr(upload, name)) is not None}
        answer = await self._call(
            request, "POST", f"/dags/{_UPLOAD}/dagRuns", {"logical_date": None, "conf": conf}
        )
        if answer.status_code != 200:
            raise HTTPException(answer.status_code, _detail(answer))
        return str(answer.json()["dag_run_id"])

    async def state(self, request: Request, run_id: str) -> UploadState | None:
        """How far a run is; None if there is none."""
        place = f"/dags/{_UPLOAD}/dagRuns/{quote(run_id, safe='')}"
        run = await self._call(request, "GET", place)
        if run.status_code != 200:
            return None
        instances = (await self._call(request, "GET", f"{place}/taskInstances")).json()
        by_state: dict[str, list[str]] = {}
        for one in instances.get("task_instances", []):
            by_state.setdefault(one["state"] or "none", []).append(one["task_id"])
        failed = by_state.get("failed", [])
        detail = await self._reason(request, place, failed[0]) if failed else ""
        if run.json()["state"] == "queued":
            dag = await self._call(request, "GET", f"/dags/{_UPLOAD}")
            if dag.status_code == 200 and dag.json()["is_paused"]:
                detail = f"The DAG {_UPLOAD} is paused in Airflow: unpause it to go on."
        run_page = f"{self._base}/dags/{_UPLOAD}/runs/{quote(run_id, safe='')}"
        return UploadState(
            state=run.json()["state"],
            step=next(iter(by_state.get("running", [])), ""),
            detail=detail,
            uri=str((run.json().get("conf") or {}).get("uri", "")),
            link=run_page,
        )

    async def _reason(self, request: Request, run: str, task_id: str) -> str:
        """Why a task failed; `run` is the path of its run in Airflow's API."""
        path = f"{run}/taskInstances/{task_id}/xcomEntries/{FAILURE}"
        answer = await self._call(request, "GET", path)
        if answer.status_code != 200:
            return f"The task {task_id} failed; its log says why."
        return f"The task {task_id} failed: {answer.json()['value']}"

    async def commit_reviews(self, request: Request) -> None:
        """Start a run that commits all decisions of this half minute when it is over."""
        end = (int(time.time()) // _SLOT_S + 1) * _SLOT_S
        # The clock of the scheduler may be a little ahead.
        after = datetime.fromtimestamp(end + 2, UTC)
        body = {
            "dag_run_id": f"reviews__{after:%Y-%m-%dT%H-%M-%S}",
            "logical_date": None,
            "run_after": after.isoformat(),
        }
        answer = await self._call(request, "POST", f"/dags/{_REVIEW}/dagRuns", body)
        if answer.status_code not in (200, 409):  # 409: there is one already
            raise HTTPException(answer.status_code, _detail(answer))

    def may_have(self, run_id: str) -> bool:
        """Whether a run may be one of a DAG, by its id."""
        return not run_id.startswith(CLI_RUN)

    async def link(self, request: Request, run_id: str) -> str | None:
        """The address of a run's page; None if there is no such run, or not for this person."""
        quoted = quote(run_id, safe="")
        for dag_id in (_NIGHTLY, _UPLOAD):
            answer = await self._call(request, "GET", f"/dags/{dag_id}/dagRuns/{quoted}")
            if answer.status_code == 200:
                return f"{self._base}/dags/{dag_id}/runs/{quoted}"
        return None

    async def batches(
        self, request: Request, dag_id: str, run_id: str, task_id: str, map_index: int
    ) -> list[str]:
        """The batches that a task instance has worked on; empty if that is not known.

        A task returns its batches when it succeeds; nothing else of Airflow names them.
        """
        dag, run, task = (quote(one, safe="") for one in (dag_id, run_id, task_id))
        answer = await self._call(
            request,
            "GET",
            f"/dags/{dag}/dagRuns/{run}/taskInstances/{task}/xcomEntries/return_value"
            f"?map_index={map_index}",
        )
        if answer.status_code != 200:
            return []
        returned = answer.json().get("value")
        rows = returned if isinstance(returned, list) else [returned]
        return [str(row["batch_id"]) for row in rows if isinstance(row, dict) and "batch_id" in row]

    async def _call(
        self, request: Request, method: str, path: str, body: dict[str, Any] | None = None
    ) -> httpx.Response:
        headers = {
            name: value
            for name in ("authorization", "cookie")
            if (value := request.headers.get(name)) is not None
        }
        transport = httpx.ASGITransport(app=cached_app())
        async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1") as client:
            return await client.request(method, f"/api/v2{path}", json=body, headers=headers)


def _detail(answer: httpx.Response) -> str:
    try:
        return str(answer.json()["detail"])
    except (ValueError, KeyError, TypeError):
        return answer.text
