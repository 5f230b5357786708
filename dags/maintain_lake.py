"""Every week, keeps the lake small and fast: large files, a short log, nothing that nobody needs.

It may run beside all other DAGs.
"""

from __future__ import annotations

from datetime import datetime, timedelta

from airflow.sdk import dag, task

from nightscribe.airflow.alerts import on_failure
from nightscribe.settings import MANUAL, Settings

SETTINGS = Settings()


@dag(
    dag_display_name="Maintain the lake",
    schedule=None if SETTINGS.maintain_schedule == MANUAL else SETTINGS.maintain_schedule,
    start_date=datetime(2026, 1, 1),
    catchup=False,
    max_active_runs=1,
    default_args={
        "retries": 1,
        "retry_delay": timedelta(minutes=10),
        "on_failure_callback": on_failure(SETTINGS),
    },
    tags=["nightscribe"],
    doc_md=__doc__,
)
def maintain_lake() -> None:
    @task(execution_timeout=timedelta(hours=12))
    def maintain(
        params: dict | None = None,
        run_id: str | None = None,
        dag: object = None,
        dag_run: object = None,
    ) -> dict:
        from nightscribe.airflow.maintenance import run_maintain

        return run_maintain(params, run_id, dag, dag_run)

    maintain()


DAG = maintain_lake()
