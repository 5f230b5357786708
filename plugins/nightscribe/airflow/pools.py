"""Whether the pools of a run exist. Airflow lets a task of a missing pool wait for ever.

Neither a task nor the execution API, which answers it, knows Airflow's pools. So the plugin adds
an address to the API server, which has the database, and a task asks there. The task names itself
by the id of its instance: a random number that Airflow gives to those who may see the run. While
the task runs, whoever has it is told which pools of this run are missing, and nothing else.
"""

from __future__ import annotations

import logging
import uuid
from typing import Any

from nightscribe.airflow.plugin import POOLS_PREFIX
from nightscribe.errors import ConfigurationError

__all__ = ["check_pools", "missing_pools"]

log = logging.getLogger(__name__)

_ANSWER_S = 10.0


def check_pools(ti: Any) -> None:
    """Raise `ConfigurationError` if a task of this run names a pool that does not exist.

    Nothing is known, and nothing is raised, if no API server with the plugin answers, as in
    `airflow dags test`, which uses no pools.
    """
    import httpx
    from airflow.configuration import conf

    execution = conf.get("core", "execution_api_server_url", fallback="")
    base = execution.rstrip("/").removesuffix("/execution")
    if not base:
        return
    try:
        missing = httpx.get(f"{base}{POOLS_PREFIX}/{ti.id}", timeout=_ANSWER_S).json()["missing"]
    except (httpx.HTTPError, httpx.InvalidURL, ValueError, KeyError, TypeError) as error:
        log.warning("whether the pool exists is not known: %s: %s", type(error).__name__, error)
        return
    if missing:
        made = (f"airflow pools set {pool} 1 'slots: one for each GPU'" for pool in missing)
        raise ConfigurationError(
            f"Airflow has no pool {', '.join(map(repr, missing))}, so the transcription would "
            f"wait for ever: run `{'; '.join(made)}`, then trigger a new run"
        )


def missing_pools() -> Any:
    """The application behind `POOLS_PREFIX`, in the API server."""
    from airflow.models.pool import Pool
    from airflow.models.taskinstance import TaskInstance
    from airflow.utils.session import create_session
    from airflow.utils.state import TaskInstanceState
    from fastapi import FastAPI, HTTPException
    from sqlalchemy import select

    app = FastAPI(openapi_url=None)

    @app.get("/{task_instance_id}")
    def missing(task_instance_id: uuid.UUID) -> dict[str, list[str]]:
        with create_session() as session:
            asks = session.scalar(
                select(TaskInstance).where(
                    TaskInstance.id == task_instance_id,
                    TaskInstance.state == TaskInstanceState.RUNNING,
                )
            )
            if asks is None:
                raise HTTPException(404, "No such task instance runs.")
            pools = session.scalars(
                select(TaskInstance.pool)
                .where(TaskInstance.dag_id == asks.dag_id, TaskInstance.run_id == asks.run_id)
                .where(TaskInstance.pool.not_in(select(Pool.pool)))
                .distinct()
            )
            return {"missing": sorted(pools)}

    return app
