"""Transcribes one file, given by path or URI, and writes its text and subtitles into the lake.

ingest → transcribe → publish
"""

from __future__ import annotations

from datetime import datetime, timedelta

from airflow.sdk import Metadata, Param, dag, task

from nightscribe.airflow import form as form
from nightscribe.settings import Settings

SETTINGS = Settings()


@dag(
    dag_display_name="Transcribe one upload",
    schedule=None,
    is_paused_upon_creation=False,  # whoever uploads a file waits for its text
    start_date=datetime(2026, 1, 1),
    catchup=False,
    default_args={"retries": 1, "retry_delay": timedelta(seconds=10)},
    params={
        "uri": Param(
            "",
            type="string",
            minLength=1,
            title="File",
            description="Audio or video file in the folder of uploads (NIGHTSCRIBE_UPLOADS) or a "
            "place of NIGHTSCRIBE_UPLOAD_PLACES: a path on the workers, s3://… or gs://…",
        ),
        **form.transcription(),
    },
    tags=["nightscribe"],
    doc_md=__doc__,
)
def transcribe_upload() -> None:
    @task(execution_timeout=timedelta(hours=1))
    def ingest(
        params: dict | None = None,
        run_id: str | None = None,
        dag: object = None,
        dag_run: object = None,
        ti: object = None,
    ) -> list[str]:
        from nightscribe.airflow.upload import ingest_upload

        return ingest_upload(params, run_id, dag, dag_run, ti)

    @task(
        pool=SETTINGS.pool,
        queue=SETTINGS.queue,
        execution_timeout=timedelta(hours=12),
    )
    def transcribe(specs: list[str], run_id: str | None = None) -> list[dict]:
        from nightscribe.airflow.tasks import run_batch

        return [run_batch(spec, run_id) for spec in specs]

    @task(outlets=[form.TRANSCRIPTS])
    def publish(params: dict | None = None, ti: object = None):
        from nightscribe.airflow.upload import publish_upload

        result = publish_upload(params)
        ti.xcom_push(key="result", value=result)
        yield Metadata(form.TRANSCRIPTS, extra={"recording_id": result["recording_id"]})

    specs = ingest()
    transcribe(specs) >> publish()


DAG = transcribe_upload()
