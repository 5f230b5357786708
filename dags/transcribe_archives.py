"""Every night, scans the archives and ingests, transcribes and publishes what is new.

With NIGHTSCRIBE_WATCH_S, also when files have arrived.

scan → ingest (mapped over specs) → plan → transcribe (mapped over batches) → publish → check
"""

from __future__ import annotations

from datetime import datetime, timedelta

from airflow.sdk import Metadata, dag, task

from nightscribe.airflow import form as form
from nightscribe.airflow.alerts import on_failure
from nightscribe.settings import Settings

SETTINGS = Settings()
ALERTS = on_failure(SETTINGS)


@dag(
    dag_display_name="Transcribe archives",
    schedule=form.nightly_schedule(SETTINGS),
    start_date=datetime(2026, 1, 1),
    catchup=False,
    max_active_runs=1,
    default_args={
        "retries": 2,
        "retry_delay": timedelta(seconds=SETTINGS.retry_delay_s),
        "retry_exponential_backoff": True,
        "max_retry_delay": timedelta(minutes=10),
    },
    params={
        "archives": form.archives(),
        "datasets": form.datasets(),
        **form.transcription(),
        "limit": form.limit(),
    },
    tags=["nightscribe"],
    doc_md=__doc__,
)
def transcribe_archives() -> None:
    @task(execution_timeout=timedelta(hours=6))
    def scan(
        params: dict | None = None,
        run_id: str | None = None,
        dag: object = None,
        dag_run: object = None,
    ) -> list[str]:
        from nightscribe.airflow.tasks import run_scan

        return run_scan(params, run_id, dag, dag_run)

    @task(execution_timeout=timedelta(hours=12))
    def ingest(spec: str, run_id: str | None = None) -> dict:
        from nightscribe.airflow.tasks import run_ingest

        return run_ingest(spec, run_id)

    # `ingest` is skipped if there are no new files, and a part of it may fail. In both cases older
    # recordings may still be pending.
    @task(trigger_rule="all_done", execution_timeout=timedelta(hours=1))
    def plan(
        params: dict | None = None,
        run_id: str | None = None,
        dag: object = None,
        dag_run: object = None,
        ti: object = None,
    ) -> list[str]:
        from nightscribe.airflow.tasks import run_plan

        return run_plan(params, run_id, dag, dag_run, ti)

    @task(
        pool=SETTINGS.pool,
        queue=SETTINGS.queue,
        execution_timeout=timedelta(hours=12),
    )
    def transcribe(spec: str, run_id: str | None = None) -> dict:
        from nightscribe.airflow.tasks import run_batch

        return run_batch(spec, run_id)

    # Its failure is an alarm: the run goes on, and its state does not depend on it.
    @task(retries=0, execution_timeout=timedelta(minutes=5), on_failure_callback=ALERTS)
    def forecast(ti: object = None) -> None:
        from nightscribe.airflow.tasks import run_forecast

        run_forecast(ti)

    # Also runs after a failure: finished batches are published and evaluated.
    @task(trigger_rule="all_done", outlets=[form.TRANSCRIPTS])
    def publish(params: dict | None = None, run_id: str | None = None, dag_run: object = None):
        from nightscribe.airflow.tasks import run_publish

        yield Metadata(form.TRANSCRIPTS, extra=run_publish(params, run_id, dag_run))

    # The state of a run is the state of its last task, which alone raises the alarm: it knows of
    # all the others.
    @task(trigger_rule="all_done", retries=0, on_failure_callback=ALERTS)
    def check(
        params: dict | None = None,
        run_id: str | None = None,
        dag_run: object = None,
        ti: object = None,
    ) -> None:
        from nightscribe.airflow.tasks import check_run

        check_run(params, run_id, dag_run, ti)

    ingested = ingest.expand(spec=scan())
    batches = plan()
    ingested >> batches
    checked = check()
    transcribe.expand(spec=batches) >> publish() >> checked
    if SETTINGS.done_by:
        batches >> forecast() >> checked


DAG = transcribe_archives()
