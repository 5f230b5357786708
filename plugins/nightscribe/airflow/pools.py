"""The pools of a run. Airflow lets a task of a missing pool wait for ever.

Neither a task nor the execution API, which answers it, knows Airflow's pools. So the plugin adds
an address to the API server, which has the database, and a task asks there. The task names itself
by the id of its instance: a random number that Airflow gives to those who may see the run. While
the task runs, whoever has it is told which pools of this run are missing, the slots of the others,
and nothing else.
"""

from __future__ import annotations

import logging
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from nightscribe.airflow.plugin import POOLS_PREFIX
from nightscribe.errors import ConfigurationError

__all__ = ["Pools", "pools_of", "pools_of_a_task"]

log = logging.getLogger(__name__)

_ANSWER_S = 10.0


@dataclass(frozen=True)
class Pools:
    """The pools that the tasks of a run name.

    Attributes:
        missing: names of those that do not exist
        slots: how many tasks may run in each of the others at once; -1: any number
    """

    missing: tuple[str, ...] = ()
    slots: Mapping[str, int] = field(default_factory=dict)

    def check(self) -> None:
        """Raise `ConfigurationError` if one is missing."""
        if not self.missing:
            return
        made = (f"airflow pools set {pool} 1 'slots: one for each GPU'" for pool in self.missing)
        raise ConfigurationError(
            f"Airflow has no pool {', '.join(map(repr, self.missing))}, so the transcription would "
            f"wait for ever: run `{'; '.join(made)}`, then trigger a new run"
        )


def pools_of(ti: Any) -> Pools:
    """The pools of the run of a task that runs.

    None is known if no API server with the plugin answers, as in `airflow dags test`, which uses no
    pools.
    """
    import httpx
    from airflow.configuration import conf

    execution = conf.get("core", "execution_api_server_url", fallback="")
    base = execution.rstrip("/").removesuffix("/execution")
    if not base:
        return Pools()
    try:
        answer = httpx.get(f"{base}{POOLS_PREFIX}/{ti.id}", timeout=_ANSWER_S).json()
        return Pools(tuple(answer["missing"]), answer["slots"])
    except (httpx.HTTPError, httpx.InvalidURL, ValueError, KeyError, TypeError) as error:
        log.warning("whether the pool exists is not known: %s: %s", type(error).__name__, error)
        return Pools()


def pools_of_a_task() -> Any:
    """The application behind `POOLS_PREFIX`, in the API server."""
    from airflow.models.pool import Pool
    from airflow.models.taskinstance import TaskInstance
    from airflow.utils.session import create_session
    from airflow.utils.state import TaskInstanceState
    from fastapi import FastAPI, HTTPException
    from sqlalchemy import select

    app = FastAPI(openapi_url=None)

    @app.get("/{task_instance_id}")
    def pools(task_instance_id: uuid.UUID) -> dict[str, Any]:
        with create_session() as session:
            asks = session.scalar(
                select(TaskInstance).where(
                    TaskInstance.id == task_instance_id,
                    TaskInstance.state == TaskInstanceState.RUNNING,
                )
            )
            if asks is None:
                raise HTTPException(404, "No such task instance runs.")
            named = session.execute(
                select(TaskInstance.pool, Pool.slots)
                .where(TaskInstance.dag_id == asks.dag_id, TaskInstance.run_id == asks.run_id)
                .outerjoin(Pool, Pool.pool == TaskInstance.pool)
                .distinct()
            )
            slots = dict(named.all())
            return {
                "missing": sorted(pool for pool, number in slots.items() if number is None),
                "slots": {pool: number for pool, number in slots.items() if number is not None},
            }

    return app
