"""Tasks of the DAG `transcribe_archives`, and the order and lake of the other DAGs.

A task turns Airflow's parameters into an order, runs one stage and returns what goes into XCom:
counts, and paths of specs in the lake. Rows stay in the lake.
"""

from __future__ import annotations

import logging
import socket
import time
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from structlog.contextvars import unbind_contextvars

from nightscribe.airflow.failures import failures_of, reported
from nightscribe.airflow.lineage import note_lineage
from nightscribe.airflow.metrics import count_batch, count_ingested, show_pending, show_plan
from nightscribe.airflow.pools import pools_of
from nightscribe.airflow.run_conf import check_conf
from nightscribe.credentials import storage_options
from nightscribe.errors import ConfigurationError, ModelError, NightscribeError
from nightscribe.lake.opening import open_lake
from nightscribe.lake.reading import connect, count_rows
from nightscribe.lake.tables import Lake
from nightscribe.settings import Settings
from nightscribe.stages.forecast import forecast
from nightscribe.stages.index import index_published
from nightscribe.stages.ingest import ingest_scanned
from nightscribe.stages.order import Order
from nightscribe.stages.outcome import outcome_of
from nightscribe.stages.plan import Plan, plan_run
from nightscribe.stages.publish import publish
from nightscribe.stages.run_ids import work_folder
from nightscribe.stages.scan import scan
from nightscribe.stages.transcribe import transcribe_batch
from nightscribe.whisper.checkpoints import locate_model
from nightscribe.whisper.engines import check_loadable, engine_named, model_loader

__all__ = [
    "check_model_here",
    "check_run",
    "lake_of",
    "order_of",
    "run_batch",
    "run_forecast",
    "run_ingest",
    "run_plan",
    "run_publish",
    "run_scan",
]

log = logging.getLogger(__name__)


_PENDING = """SELECT count(*), epoch(coalesce(min(created_at), now())) FROM recordings
    ANTI JOIN transcripts USING (recording_id) ANTI JOIN rejected USING (recording_id)"""
"""Recordings with neither transcript nor rejection: how many, and when the oldest was ingested."""


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


def _checked_order(params: Mapping[str, Any], dag: Any, dag_run: Any, settings: Settings) -> Order:
    """The order of a run of the nightly DAG, before anything is read.

    Raises:
        AirflowSkipException: a scheduled run has nothing to do.
        ConfigurationError: it is wrong, or lacks archives.
        ModelError: its model does not exist.
    """
    check_conf(dag_run.conf, dag.params, params)
    order = order_of(params, settings)
    _skip_without_archives(order, dag_run)
    order.wanted(settings)
    check_model_here(order.model, settings)
    return order


def _skip_without_archives(order: Order, dag_run: Any) -> None:
    """Skip a task of a scheduled run that has nothing to scan; a run that a person starts fails.

    Airflow starts a scheduled run as soon as the DAG is switched on, which people do before their
    first manual run.
    """
    if dag_run.run_type == "scheduled" and not order.archives and not order.datasets:
        from airflow.sdk.exceptions import AirflowSkipException

        sentence = (
            "no archives are configured, so this scheduled run does nothing: set "
            "NIGHTSCRIBE_ARCHIVES for nightly runs, or trigger a run with archives"
        )
        log.warning(sentence)
        raise AirflowSkipException(sentence)


_ON_ONE_MACHINE = {"LocalExecutor", "SequentialExecutor"}


def check_model_here(name: str, settings: Settings) -> None:
    """Check that the model can be loaded, as far as this machine can know it.

    What is known before the task `transcribe` runs, on a worker that this task cannot see:

    - Of any worker: an unknown name, a device that is none. `Order.wanted` reports them.
    - Of any worker, too: a path that this machine cannot read. The tasks that scan and plan take
      the model's id from the file, so the file must be on their machines as well. `Order.wanted`
      reports it.
    - Of this machine only: whether the device exists, whether an official checkpoint is in the
      cache or its server answers. With executors that run every task on the machine of the
      scheduler, this is the worker. With others, such as Celery, the worker may have a cache, a
      network and a GPU that this machine lacks, so a missing file is only logged.

    Several schedulers on several machines, each with a local executor, count as one machine: give
    them the same cache.

    Raises:
        ModelError, ConfigurationError: `transcribe` would fail.
    """
    from airflow.configuration import conf

    executors = conf.get("core", "executor").split(",")
    if {one.strip().rpartition(".")[2] for one in executors} <= _ON_ONE_MACHINE:
        check_loadable(name, settings)
    elif not (model := locate_model(name, settings.model_dir)).cached:
        log.warning(
            "the model %r is not at %s on this machine: the workers of the queue %s must have it "
            "there, or will download it",
            name,
            model.path,
            settings.queue,
        )


@reported(ConfigurationError, ModelError)
def run_scan(params: Mapping[str, Any], run_id: str, dag: Any, dag_run: Any) -> list[str]:
    """Scan the archives. Returns the ingest specs: paths in the lake."""
    settings = Settings()
    order = _checked_order(params, dag, dag_run, settings)
    lake = lake_of(settings)
    scanned = scan(
        lake,
        order.archives,
        run_id,
        settings=settings,
        folder=work_folder(run_id),
        max_specs=_max_mapped_tasks(),
        force=order.force,
    )
    for line in scanned.summary().splitlines():
        log.info(line)
    note_lineage(lake, order.archives)
    return scanned.specs


@reported()
def run_ingest(spec: str, run_id: str) -> dict[str, Any]:
    """Ingest the files of one spec. Returns counts."""
    settings = Settings()
    lake = lake_of(settings)
    ingested = ingest_scanned(lake, spec, run_id, settings=settings)
    log.info(ingested.summary())
    count_ingested(ingested, socket.gethostname())
    note_lineage(lake, ingested.accounts)
    return {
        "files": ingested.files,
        "recordings": ingested.recordings,
        "rejected": ingested.rejected,
    }


@reported(ConfigurationError, ModelError)
def run_plan(params: Mapping[str, Any], run_id: str, dag: Any, dag_run: Any, ti: Any) -> list[str]:
    """Plan the batches. Returns their specs: at most as many as Airflow may map tasks over."""
    settings = Settings()
    # Again: `plan` also runs after `scan` has failed.
    order = _checked_order(params, dag, dag_run, settings)
    pools = pools_of(ti)
    workers = max(1, pools.slots.get(settings.pool, 1))
    lake = lake_of(settings)
    planned = plan_run(lake, order, run_id, settings, _max_mapped_tasks(), workers)
    log.info(planned.summary())
    show_plan(planned)
    note_lineage(lake)
    if planned.specs:
        pools.check()
    if settings.done_by:
        _leave_forecast(planned, settings.done_by, workers, dag_run, ti)
    return planned.specs


_FORECAST = "forecast"
"""Key of the XCom of `plan` with the sentence, if the night will be late."""


def _leave_forecast(planned: Plan, done_by: str, workers: int, dag_run: Any, ti: Any) -> None:
    """Tell the task `forecast` when the night will be done, if the model's speed is known."""
    if planned.rtfx is None:
        log.info("no batch of this model was measured yet, so the end of this run is not known")
        return
    now = datetime.now(UTC)
    found = forecast(planned.audio_s, planned.rtfx, workers, done_by, dag_run.start_date, now)
    log.info(found.sentence())
    if found.late:
        ti.xcom_push(key=_FORECAST, value=found.sentence())


def run_forecast(ti: Any) -> None:
    """Fail if the planned night will be late: as early as that is known, while it goes on.

    Raises:
        NightscribeError: it will be late; the message says by how much.
    """
    sentence = ti.xcom_pull(task_ids="plan", key=_FORECAST)
    if sentence:
        raise NightscribeError(
            f"{sentence}: add workers, plan a smaller model, or limit the run. It goes on, and the "
            "next run transcribes what is missing"
        )


@reported(ConfigurationError)
def run_batch(spec: str, run_id: str) -> dict[str, Any]:
    """Transcribe one batch. Returns counts and speed."""
    begun = time.monotonic()
    settings = Settings()
    engine = engine_named(settings.engine, slots=settings.slots)
    lake, load = lake_of(settings), model_loader(settings)
    try:
        batch = transcribe_batch(lake, spec, run_id, load, engine, settings=settings)
        log.info(batch.summary())
        count_batch(batch, socket.gethostname(), time.monotonic() - begun)
        note_lineage(lake)
    finally:
        unbind_contextvars("batch_id")  # `airflow dags test` runs all tasks in one process
    return {
        "batch_id": batch.batch_id,
        "transcripts": batch.transcripts,
        "rejections": batch.rejections,
        "audio_s": round(batch.audio_s, 3),
        "rtfx": round(batch.rtfx, 2),
    }


@reported()
def run_publish(params: Mapping[str, Any], run_id: str, dag_run: Any) -> dict[str, Any]:
    """Refresh catalog and search index. Returns counts of the run's transcripts and all rows."""
    settings = Settings()
    _skip_without_archives(order_of(params, settings), dag_run)
    lake = lake_of(settings)
    catalog = publish(lake)
    log.info(index_published(lake, settings))
    with connect(lake, views=["recordings", "transcripts", "rejected"]) as connection:
        [row] = connection.execute(
            """SELECT count(*), count(DISTINCT recording_id), coalesce(sum(duration_s), 0)
               FROM transcripts WHERE run_id = ?""",
            [run_id],
        ).fetchall()
        [pending] = connection.execute(_PENDING).fetchall()
    show_pending(*pending)
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
    note_lineage(lake)
    return {
        "lake": lake.uri,
        "catalog": catalog,
        "transcripts": transcripts,
        "recordings": recordings,
        "audio_s": round(audio_s, 3),
        "totals": totals,
        **outcome.metadata(),
    }


def check_run(params: Mapping[str, Any], run_id: str, dag_run: Any, ti: Any) -> None:
    """Fail the run if one of its tasks failed. `ti` is the running task instance.

    Raises:
        NightscribeError: a task failed; the message names all of them, with their reasons.
    """
    _skip_without_archives(order_of(params, Settings()), dag_run)
    tasks = ["scan", "ingest", "plan", "transcribe", "publish"]
    failed, kept = (
        ti.get_ti_count(dag_id=ti.dag_id, task_ids=tasks, run_ids=[run_id], states=[state])
        for state in ("failed", "upstream_failed")
    )
    if failed or kept:
        reasons = "; ".join(failures_of(ti, run_id, tasks))
        could_not = f", {kept} could not start" if kept else ""
        raise NightscribeError(
            f"{failed} tasks of this run failed{could_not}: {reasons}. Finished batches are "
            "published, and the next run transcribes the rest"
        )
