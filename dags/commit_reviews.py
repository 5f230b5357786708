"""Commits what reviewers have decided on the pages into the lake.

The pages start a run for the decisions of each half minute. A run may also be started by hand.
"""

from __future__ import annotations

from datetime import datetime, timedelta

from airflow.sdk import dag, task

from nightscribe.airflow.alerts import on_failure
from nightscribe.settings import Settings


@dag(
    dag_display_name="Commit reviews",
    schedule=None,
    is_paused_upon_creation=False,  # whoever reviews expects to find it in the lake
    start_date=datetime(2026, 1, 1),
    catchup=False,
    max_active_runs=1,
    default_args={
        "retries": 2,
        "retry_delay": timedelta(seconds=10),
        "on_failure_callback": on_failure(Settings()),
    },
    tags=["nightscribe"],
    doc_md=__doc__,
)
def commit_reviews() -> None:
    @task(execution_timeout=timedelta(minutes=30))
    def commit(
        params: dict | None = None,
        run_id: str | None = None,
        dag: object = None,
        dag_run: object = None,
    ) -> dict:
        from nightscribe.airflow.reviews import run_commit_reviews

        return run_commit_reviews(params, run_id, dag, dag_run)

    commit()


DAG = commit_reviews()
