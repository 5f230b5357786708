"""The DAGs' tasks: Airflow's parameters and context in, calls to the pipeline, references out.

What a task returns goes into XCom, so it is small: counts, paths of specs in the lake, and what a
person wants to see there: an upload's texts, what a gate found.
"""

from __future__ import annotations

import functools
import logging
from collections.abc import Callable, Mapping
from typing import Any, ParamSpec, TypeVar

import pyarrow as pa

from nightscribe.credentials import storage_options
from nightscribe.errors import ConfigurationError, NightscribeError
from nightscribe.export import formats
from nightscribe.lake.opening import open_lake
from nightscribe.lake.reading import connect, count_rows
from nightscribe.lake.tables import Lake
from nightscribe.lake.transcripts import result_of, transcripts_of
from nightscribe.settings import Settings
from nightscribe.stages.ingest import ingest
from nightscribe.stages.night import plan_run
from nightscribe.stages.order import Order
from nightscribe.stages.publish import publish
from nightscribe.stages.run_ids import work_folder
from nightscribe.stages.scan import scan
from nightscribe.stages.transcribe import transcribe_batch
from nightscribe.uris import join_uri, places_of
from nightscribe.whisper.engines import engine_named, model_loader

log = logging.getLogger(__name__)

P = ParamSpec("P")
R = TypeVar("R")


def _no_retry_for_mistakes(stage: Callable[P, R]) -> Callable[P, R]:
    """A wrong parameter stays wrong: fail at once instead of retrying."""

    @functools.wraps(stage)
    def run(*args: P.args, **kwargs: P.kwargs) -> R:
        try:
            return stage(*args, **kwargs)
        except ConfigurationError as error:
            from airflow.sdk.exceptions import AirflowFailException

            raise AirflowFailException(str(error)) from error

    return run


def lake_of(settings: Settings) -> Lake:
    """The configured lake, with the credentials of its Airflow connection if it has one."""
    return open_lake(settings.lake, storage_options(settings.lake_conn_id))


def order_of(params: Mapping[str, Any], settings: Settings) -> Order:
    """A run's parameters as an order; what is empty comes from the settings."""
    # The form sends an empty line as an empty string, and an emptied field as one such line.
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


def _most_mapped() -> int:
    from airflow.configuration import conf

    return conf.getint("core", "max_map_length")


@_no_retry_for_mistakes
def run_scan(params: Mapping[str, Any], run_id: str) -> list[str]:
    """Scan stage; returns the ingest specs."""
    settings = Settings()
    order = order_of(params, settings)
    order.wanted(settings)
    found = scan(
        lake_of(settings),
        order.archives,
        run_id,
        settings=settings,
        folder=work_folder(run_id),
        max_specs=_most_mapped(),
        force=order.force,
    )
    log.info(found.summary())
    return found.specs


def run_ingest(spec: str, run_id: str) -> dict[str, Any]:
    """Ingest stage, one spec; returns counts."""
    settings = Settings()
    done = ingest(lake_of(settings), spec, run_id, settings=settings)
    log.info(done.summary())
    return {"files": done.files, "recordings": done.recordings, "rejected": done.rejected}


@_no_retry_for_mistakes
def run_plan(params: Mapping[str, Any], run_id: str) -> list[str]:
    """Plan stage; returns batch specs, at most as many as Airflow maps."""
    settings = Settings()
    order = order_of(params, settings)
    made = plan_run(lake_of(settings), order, run_id, settings, _most_mapped())
    log.info(made.summary())
    return made.specs


@_no_retry_for_mistakes
def run_batch(spec: str, run_id: str) -> dict[str, Any]:
    """Transcribe stage, one batch; returns counts and speed."""
    settings = Settings()
    engine = engine_named(settings.engine, slots=settings.slots)
    done = transcribe_batch(
        lake_of(settings), spec, run_id, model_loader(settings), engine, settings=settings
    )
    log.info(done.summary())
    return {
        "batch_id": done.batch_id,
        "transcripts": done.transcripts,
        "rejections": done.rejections,
        "audio_s": round(done.audio_s, 3),
        "rtfx": round(done.rtfx, 2),
    }


def run_publish(run_id: str) -> dict[str, Any]:
    """Publish stage: refresh the catalog, count what the run did."""
    lake = lake_of(Settings())
    catalog = publish(lake)
    with connect(lake) as connection:
        [row] = connection.execute(
            """SELECT count(*), count(DISTINCT recording_id), coalesce(sum(duration_s), 0)
               FROM transcripts WHERE run_id = ?""",
            [run_id],
        ).fetchall()
    transcripts, recordings, audio_s = row
    totals = count_rows(lake)
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
    }


def check_run(run_id: str, ti: Any) -> None:
    """Last stage: fail the run if a task of it failed. `ti` is Airflow's running task instance.

    Raises `NightscribeError`.
    """
    failed = ti.get_ti_count(
        dag_id=ti.dag_id,
        task_ids=["scan", "ingest", "plan", "transcribe", "publish"],
        run_ids=[run_id],
        states=["failed", "upstream_failed"],
    )
    if failed:
        raise NightscribeError(
            f"{failed} tasks of this run failed (see their logs); what was finished is published, "
            "and the next run takes up what is missing"
        )


@_no_retry_for_mistakes
def ingest_upload(params: Mapping[str, Any], run_id: str) -> list[str]:
    """Scan, ingest and plan one file; returns its batch specs: none if it is transcribed already.

    Raises `NightscribeError` if the file cannot be used, saying why.
    """
    settings = Settings()
    lake = lake_of(settings)
    order = _upload_order(params, settings)
    wanted = order.wanted(settings)
    found = scan(lake, order.archives, run_id, settings=settings, folder=work_folder(run_id))
    for spec in found.specs:
        ingest(lake, spec, run_id, settings=settings)
    _recording_of(lake, wanted.archives[0])
    made = plan_run(lake, order, run_id, settings, 1)
    log.info(made.summary())
    return made.specs


def publish_upload(params: Mapping[str, Any]) -> dict[str, Any]:
    """Refresh the catalog and export the upload's transcripts in every format.

    Returns the texts and where the files lie. Raises `NightscribeError` if there is none.
    """
    settings = Settings()
    lake = lake_of(settings)
    order = _upload_order(params, settings)
    wanted = order.wanted(settings)
    recording_id = _recording_of(lake, wanted.archives[0])
    catalog = publish(lake)
    found = transcripts_of(lake, recording_id, wanted.model_id)
    missing = set(wanted.tasks) - {transcript["task"] for transcript, _ in found}
    if missing:
        raise NightscribeError(
            f"{wanted.archives[0]} has no transcript for {', '.join(sorted(missing))}: "
            "`SELECT * FROM rejected` says why"
        )
    files = []
    for transcript, segments in found:
        log.info("%s (%s): %s", transcript["task"], transcript["language"], transcript["text"])
        for fmt in formats.FORMATS:
            text = formats.render(result_of(transcript, segments), fmt)
            path = f"uploads/{recording_id}/{transcript['task']}.{fmt}"
            files.append(lake.put_file(path, text.encode()))
    return {
        "recording_id": recording_id,
        "catalog": catalog,
        "texts": {transcript["task"]: transcript["text"] for transcript, _ in found},
        "files": files,
    }


def _upload_order(params: Mapping[str, Any], settings: Settings) -> Order:
    return order_of({**params, "archives": [params["uri"]]}, settings)


def _recording_of(lake: Lake, collection: str) -> str:
    """The recording that a file holds. Raises `ConfigurationError` that says why there is none."""
    # The file may also be known as a member of any folder above it.
    places = [(collection, ""), *places_of(collection)]
    table = {
        "archive": [archive for archive, _ in places],
        "member": [member for _, member in places],
        "uri": [join_uri(archive, member) for archive, member in places],
    }
    with connect(lake) as connection:
        connection.register("places", pa.table(table))
        found = connection.execute(
            """SELECT DISTINCT recording_id FROM sources
               WHERE collection = ? OR (archive, member) IN (SELECT archive, member FROM places)""",
            [collection],
        ).fetchall()
        why = connection.execute(
            """SELECT reason, detail FROM rejected SEMI JOIN places USING (uri)
               ORDER BY created_at DESC"""
        ).fetchall()
    if len(found) != 1:
        reason = f"{why[0][0]}: {why[0][1]}" if why else "it holds no single recording"
        raise ConfigurationError(f"{collection} cannot be transcribed: {reason}")
    return str(found[0][0])
