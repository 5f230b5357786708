"""When transcripts have been added, they are scored against the references and reported.

score → publish
"""

from __future__ import annotations

from datetime import datetime, timedelta

from airflow.sdk import dag, task

from nightscribe.airflow import params as form


@dag(
    dag_display_name="Evaluate transcripts",
    schedule=[form.TRANSCRIPTS],
    start_date=datetime(2026, 1, 1),
    catchup=False,
    max_active_runs=1,
    default_args={"retries": 2, "retry_delay": timedelta(seconds=30)},
    tags=["nightscribe"],
    doc_md=__doc__,
)
def evaluate_transcripts() -> None:
    @task(execution_timeout=timedelta(hours=2))
    def score(run_id: str | None = None) -> dict:
        import logging

        from evaluation.nightly import evaluate_lake
        from nightscribe.airflow.nightly import lake_of
        from nightscribe.settings import Settings

        log = logging.getLogger(__name__)
        evaluated = evaluate_lake(lake_of(Settings()), run_id)
        if evaluated is None:
            log.info("nothing to score: no transcript has a reference")
            return {"score_id": None, "scores": 0, "reports": []}
        for line in evaluated.table.splitlines():
            log.info(line)
        return {
            "score_id": evaluated.score_id,
            "scores": evaluated.scores.num_rows,
            "reports": evaluated.uris,
        }

    @task
    def publish(scored: dict) -> str:
        from nightscribe.airflow.nightly import lake_of
        from nightscribe.lake.catalog import publish
        from nightscribe.settings import Settings

        return publish(lake_of(Settings()))

    publish(score())


evaluate_transcripts()
