"""Tasks of the DAG `transcribe_archives`, and the order and lake of the other DAGs.

A task turns Airflow's parameters into an order, runs one stage and returns what goes into XCom:
counts, and paths of specs in the lake. Rows stay in the lake.
"""

from __future__ import annotations

import functools
import logging
from collections.abc import Callable, Mapping
from typing import Any, ParamSpec, TypeVar

from nightscribe.credentials import storage_options
from nightscribe.errors import ConfigurationError, NightscribeError
from nightscribe.lake.opening import open_lake
from nightscribe.lake.reading import connect, count_rows
from nightscribe.lake.tables import Lake
from nightscribe.settings import Settings
from nightscribe.stages.index import index_published
from nightscribe.stages.ingest import ingest_scanned
from nightscribe.stages.order import Order
from nightscribe.stages.outcome import outcome_of
from nightscribe.stages.plan import plan_run
from nightscribe.stages.publish import publish
from nightscribe.stages.run_ids import work_folder
from nightscribe.stages.scan import scan
from nightscribe.stages.transcribe import transcribe_batch
from nightscribe.whisper.engines import engine_named, model_loader

__all__ = [
    "check_run",
    "fail_without_retry",
    "lake_of",
    "order_of",
    "run_batch",
    "run_ingest",
    "run_plan",
    "run_publish",
    "run_scan",
]

log = logging.getLogger(__name__)

P = ParamSpec("P")
R = TypeVar("R")


def fail_without_retry(task: Callable[P, R]) -> Callable[P, R]:
    """Let a `ConfigurationError` fail the task at once: a retry would fail in the same way."""

    @functools.wraps(task)
    def run(*args: P.args, **kwargs: P.kwargs) -> R:
        try:
            return task(*args, **kwargs)
        except ConfigurationError as error:
            from airflow.sdk.exceptions import AirflowFailException

            raise AirflowFailException(str(error)) from error

    return run


def lake_of(settings: Settings) -> Lake:
    """The lake of the settings, opened with the credentials of its Airflow connection, if set."""
    return open_lake(settings.lake, storage_options(settings.lake_conn_id))


def order_of(params: Mapping[str, Any], settings: Settings) -> Order:
    """The order of a DAG run. Empty parameters take their values from the settings."""
    # The form sends an empty line as an empty string, and an empty field as one empty line.
    archives, datasets = (
        tuple(line.strip() for line in params.get(name) or () if line.strip())
        for name in ("archives", "datasets")
    )
    return Order(
        archives=archives or (() if datasets else settings.archives),
        datasets=datasets,
        model=params.get("model") or settings.model,
        task=params.get("task") or settings.task,
        language=params.get("language") or settings.language,
        options=params.get("options") or {},
        limit=params.get("limit"),
        force=bool(params.get("force")),
    )


def _max_mapped_tasks() -> int:
    from airflow.configuration import conf

    return conf.getint("core", "max_map_length")


@fail_without_retry
def run_scan(params: Mapping[str, Any], run_id: str) -> list[str]:
    """Scan the archives. Returns the ingest specs: paths in the lake."""
    settings = Settings()
    order = order_of(params, settings)
    order.wanted(settings)  # wrong parameters fail before the archives are listed
    scanned = scan(
        lake_of(settings),
        order.archives,
        run_id,
        settings=settings,
        folder=work_folder(run_id),
        max_specs=_max_mapped_tasks(),
        force=order.force,
    )
    for line in scanned.summary().splitlines():
        log.info(line)
    return scanned.specs


def run_ingest(spec: str, run_id: str) -> dict[str, Any]:
    """Ingest the files of one spec. Returns counts."""
    settings = Settings()
    ingested = ingest_scanned(lake_of(settings), spec, run_id, settings=settings)
    log.info(ingested.summary())
    return {
        "files": ingested.files,
        "recordings": ingested.recordings,
        "rejected": ingested.rejected,
    }


@fail_without_retry
def run_plan(params: Mapping[str, Any], run_id: str) -> list[str]:
    """Plan the batches. Returns their specs: at most as many as Airflow may map tasks over."""
    settings = Settings()
    order = order_of(params, settings)
    planned = plan_run(lake_of(settings), order, run_id, settings, _max_mapped_tasks())
    log.info(planned.summary())
    return planned.specs


@fail_without_retry
def run_batch(spec: str, run_id: str) -> dict[str, Any]:
    """Transcribe one batch. Returns counts and speed."""
    settings = Settings()
    engine = engine_named(settings.engine, slots=settings.slots)
    batch = transcribe_batch(
        lake_of(settings), spec, run_id, model_loader(settings), engine, settings=settings
    )
    log.info(batch.summary())
    return {
        "batch_id": batch.batch_id,
        "transcripts": batch.transcripts,
        "rejections": batch.rejections,
        "audio_s": round(batch.audio_s, 3),
        "rtfx": round(batch.rtfx, 2),
    }


def run_publish(run_id: str) -> dict[str, Any]:
    """Refresh catalog and search index. Returns counts of the run's transcripts and all rows."""
    settings = Settings()
    lake = lake_of(settings)
    catalog = publish(lake)
    log.info(index_published(lake, settings))
    with connect(lake, views=["transcripts"]) as connection:
        [row] = connection.execute(
            """SELECT count(*), count(DISTINCT recording_id), coalesce(sum(duration_s), 0)
               FROM transcripts WHERE run_id = ?""",
            [run_id],
        ).fetchall()
    transcripts, recordings, audio_s = row
    totals = count_rows(lake)
    outcome = outcome_of(lake, run_id)
    for line in outcome.lines():
        log.info(line)
    log.info("published %s: %s", catalog, totals)
    if transcripts:
        log.info("%d transcripts of %d recordings are new", transcripts, recordings)
    else:
        log.info("nothing was transcribed: no transcript is pending")
    return {
        "lake": lake.uri,
        "catalog": catalog,
        "transcripts": transcripts,
        "recordings": recordings,
        "audio_s": round(audio_s, 3),
        "totals": totals,
        **outcome.metadata(),
    }


def check_run(run_id: str, ti: Any) -> None:
    """Fail the run if one of its tasks failed. `ti` is the running task instance.

    Raises:
        NightscribeError: a task failed.
    """
    failed = ti.get_ti_count(
        dag_id=ti.dag_id,
        task_ids=["scan", "ingest", "plan", "transcribe", "publish"],
        run_ids=[run_id],
        states=["failed", "upstream_failed"],
    )
    if failed:
        raise NightscribeError(
            f"{failed} tasks of this run failed, see their logs; finished batches are published, "
            "and the next run transcribes the rest"
        )
