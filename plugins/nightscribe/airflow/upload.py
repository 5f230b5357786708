"""Tasks of the DAG `transcribe_upload`: ingest one file, write its texts and subtitles."""

from __future__ import annotations

import logging
import os
import posixpath
from collections.abc import Mapping
from typing import Any

from nightscribe.airflow.tasks import fail_without_retry, lake_of, order_of
from nightscribe.errors import ConfigurationError, NightscribeError
from nightscribe.export import formats
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
from nightscribe.storage import locate
from nightscribe.uris import canonical_uri, join_uri, places_of

__all__ = ["check_place", "ingest_upload", "publish_upload", "recording_of"]

log = logging.getLogger(__name__)


@fail_without_retry
def ingest_upload(params: Mapping[str, Any], run_id: str) -> list[str]:
    """Scan, ingest and plan one file. Returns its batch specs: none if it is transcribed already.

    Raises:
        ConfigurationError: the file cannot be used; the message says why.
    """
    settings = Settings()
    lake = lake_of(settings)
    order = _upload_order(params, settings)
    [uri] = order.wanted(settings).archives
    check_place(uri, settings)
    scanned = scan(lake, order.archives, run_id, settings=settings, folder=work_folder(run_id))
    for spec in scanned.specs:
        ingest_scanned(lake, spec, run_id, settings=settings)
    recording_of(lake, uri)
    planned = plan_run(lake, order, run_id, settings, 1)
    log.info(planned.summary())
    return planned.specs


def check_place(uri: str, settings: Settings) -> None:
    """Raise `ConfigurationError` unless a canonical URI lies in a place that uploads may be from.

    Whoever may start the DAG must not read every file that a worker can read.
    """
    for place in (settings.uploads, *settings.upload_places):
        root, given = _real(canonical_uri(place)), _real(uri)
        if given == root or given.startswith(root.rstrip("/") + "/"):
            return
    raise ConfigurationError(
        f"{uri} is not below a place from which uploads are taken: put it into the folder of "
        f"uploads ({settings.uploads}), or add its folder to NIGHTSCRIBE_UPLOAD_PLACES"
    )


def _real(uri: str) -> str:
    """The URI without links and `..`."""
    place = locate(uri)
    return os.path.realpath(place.path) if place.filesystem is None else posixpath.normpath(uri)


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
            path = f"uploads/{recording_id}/{transcript['task']}.{fmt}"
            files.append(lake.put_file(path, text.encode()))
    log.info(index_published(lake, settings))
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
    with connect(lake, views=["sources", "rejected"]) as connection:
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
    if len(recordings) == 1:
        return str(recordings[0][0])
    if rejections:
        reason, detail = rejections[0]
        raise ConfigurationError(f"{uri} cannot be transcribed: {reason}: {detail}")
    raise ConfigurationError(
        f"{uri} cannot be transcribed: it holds {len(recordings)} recordings; give one audio file"
    )


def _upload_order(params: Mapping[str, Any], settings: Settings) -> Order:
    return order_of({**params, "archives": [params["uri"]]}, settings)
