"""Tasks of the DAG `transcribe_upload`: ingest one file, write its texts and subtitles."""

from __future__ import annotations

import logging
import os
from collections.abc import Mapping
from typing import Any

from nightscribe.airflow.failures import reported
from nightscribe.airflow.lineage import note_lineage
from nightscribe.airflow.pools import pools_of
from nightscribe.airflow.run_conf import check_conf
from nightscribe.airflow.tasks import check_model_here, lake_of, order_of
from nightscribe.archives.single import check_single_file
from nightscribe.errors import ConfigurationError, ModelError, NightscribeError
from nightscribe.export import formats
from nightscribe.export.names import name_in_own_folder
from nightscribe.lake.forgetting import place_id
from nightscribe.lake.reading import connect
from nightscribe.lake.tables import Lake
from nightscribe.lake.transcripts import result_of, transcripts_of
from nightscribe.settings import Settings
from nightscribe.stages.index import index_published
from nightscribe.stages.ingest import ingest_scanned
from nightscribe.stages.order import Order
from nightscribe.stages.plan import plan_run
from nightscribe.stages.publish import publish
from nightscribe.stages.run_ids import work_folder
from nightscribe.stages.scan import scan
from nightscribe.uris import (
    canonical_uri,
    decode_path,
    is_web_url,
    join_uri,
    places_of,
    shown_url,
)

__all__ = ["check_place", "ingest_upload", "publish_upload", "recording_of"]

log = logging.getLogger(__name__)


@reported(ConfigurationError, ModelError)
def ingest_upload(
    params: Mapping[str, Any], run_id: str, dag: Any = None, dag_run: Any = None, ti: Any = None
) -> list[str]:
    """Scan, ingest and plan one file. Returns its batch specs: none if it is transcribed already.

    `dag`, `dag_run` and `ti` are those of Airflow, whose run is examined if they are given.

    Raises:
        ConfigurationError: the file cannot be used; the message says why.
    """
    settings = Settings()
    if dag_run is not None:
        check_conf(dag_run.conf, dag.params, params)
    order = _upload_order(params, settings)
    uri = canonical_uri(order.archives[0])
    check_place(uri, settings)
    check_single_file(uri)
    order.wanted(settings)
    if ti is not None:
        check_model_here(order.model, settings)
        pools_of(ti).check()
    lake = lake_of(settings)
    scanned = scan(lake, order.archives, run_id, settings=settings, folder=work_folder(run_id))
    for spec in scanned.specs:
        ingest_scanned(lake, spec, run_id, settings=settings)
    recording_of(lake, uri)
    planned = plan_run(lake, order, run_id, settings, 1)
    log.info(planned.summary())
    note_lineage(lake, [uri])
    return planned.specs


def check_place(uri: str, settings: Settings) -> None:
    """Raise `ConfigurationError` unless a canonical URI lies in a place that uploads may be from.

    Whoever may start the DAG must not read every file that a worker can read. Nothing is read, and
    no store is reached.
    """
    given = _real(uri)
    if given is not None:
        for place in (settings.uploads, *settings.upload_places):
            root = _real(canonical_uri(place))
            if root is not None and (given == root or given.startswith(root.rstrip("/") + "/")):
                return
    raise ConfigurationError(
        f"{uri} is not below a place from which uploads are taken: put it into the folder of "
        f"uploads ({settings.uploads}), or add its folder to NIGHTSCRIBE_UPLOAD_PLACES"
    )


def _real(uri: str) -> str | None:
    """A canonical URI without links and `..`; None for a key of a store that has such parts.

    A store takes a key literally, but a client or a proxy may resolve `..`, `.` and empty parts.
    """
    scheme, _, rest = uri.partition("://")
    if scheme == "file":
        return "file://" + os.path.realpath(decode_path(rest))
    return None if {"", ".", ".."} & set(rest.split("/")) else uri


@reported()
def publish_upload(params: Mapping[str, Any]) -> dict[str, Any]:
    """Refresh catalog and search index; write the file's transcripts in all formats into the lake.

    Returns the texts by task, and the URIs of the written files.

    Raises:
        NightscribeError: a transcript is missing.
    """
    settings = Settings()
    lake = lake_of(settings)
    wanted = _upload_order(params, settings).wanted(settings)
    [uri] = wanted.archives
    recording_id = recording_of(lake, uri)
    catalog = publish(lake)
    transcripts = transcripts_of(lake, recording_id, wanted.model_id)
    missing = set(wanted.tasks) - {transcript["task"] for transcript, _ in transcripts}
    if missing:
        raise NightscribeError(
            f"{uri} has no transcript for {', '.join(sorted(missing))}: "
            "`SELECT * FROM rejected` says why"
        )
    files = []
    for transcript, segments in transcripts:
        log.info("%s (%s): %s", transcript["task"], transcript["language"], transcript["text"])
        for fmt in formats.FORMATS:
            text = formats.render(result_of(transcript, segments), fmt)
            name = name_in_own_folder(places_of(uri)[0][1], transcript["task"])
            path = f"uploads/{recording_id}/{name}.{fmt}"
            files.append(lake.put_file(path, text.encode()))
    log.info(index_published(lake, settings))
    note_lineage(lake)
    return {
        "recording_id": recording_id,
        "catalog": catalog,
        "texts": {transcript["task"]: transcript["text"] for transcript, _ in transcripts},
        "files": files,
    }


def recording_of(lake: Lake, uri: str) -> str:
    """The recording in a file that was scanned and ingested.

    `uri` is canonical. A file of audio is a member of its folder; a zip or tar is an archive.

    Raises:
        ConfigurationError: the file holds no recording, or several; the message says why.
    """
    folder, name = places_of(uri)[0]
    with connect(lake, views=["sources", "rejected", "forgotten"]) as connection:
        recordings = connection.execute(
            """SELECT DISTINCT recording_id FROM sources
               WHERE $uri IN (collection, archive) OR (archive, member) = ($folder, $name)""",
            {"uri": uri, "folder": folder, "name": name},
        ).fetchall()
        rejections = connection.execute(
            """SELECT reason, detail FROM rejected WHERE uri IN ($archive, $member)
               ORDER BY created_at DESC""",
            {"archive": join_uri(uri, ""), "member": join_uri(folder, name)},
        ).fetchall()
        forgotten = connection.execute(
            """SELECT recording_id, created_at FROM forgotten WHERE list_contains(places, $place)
               ORDER BY created_at DESC""",
            {"place": place_id({"archive": folder, "member": name})},
        ).fetchall()
    if len(recordings) == 1:
        return str(recordings[0][0])
    if rejections:
        reason, detail = rejections[0]
        raise ConfigurationError(f"{uri} cannot be transcribed: {reason}: {detail}")
    if not recordings and forgotten:
        recording_id, at = forgotten[0]
        raise ConfigurationError(
            f"{uri} cannot be transcribed: this recording was forgotten on {at:%Y-%m-%d}. "
            f"`nightscribe forget --recording {recording_id} --undo --yes` lets it be read again"
        )
    raise ConfigurationError(
        f"{uri} cannot be transcribed: it holds {len(recordings)} recordings; give one audio file"
    )


def _upload_order(params: Mapping[str, Any], settings: Settings) -> Order:
    """The order for one file. Raises `ConfigurationError` if none is given, or a URL."""
    uri = str(params.get("uri") or "").strip()
    if not uri:
        raise ConfigurationError("no file to transcribe: give the run's `uri`")
    if is_web_url(uri):
        raise ConfigurationError(
            f"{shown_url(uri)}: a worker fetches no URL: put the file into the folder of uploads "
            f"({settings.uploads}), or use `nightscribe transcribe`"
        )
    return order_of({**params, "archives": [uri]}, settings)
