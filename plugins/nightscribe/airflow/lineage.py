"""What each task reads and writes, for Airflow's lineage: archives, and tables of the lake.

Airflow's own collector takes it. A registered reader, such as the provider for OpenLineage, sends
it on; without one, nothing is collected.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from nightscribe.lake.schema import SCHEMAS
from nightscribe.lake.tables import Lake
from nightscribe.stages.publish import CATALOG
from nightscribe.uris import canonical_uri

__all__ = ["GIVEN", "LINEAGE", "Lineage", "dataset_uri", "note_lineage"]

log = logging.getLogger(__name__)

GIVEN = frozenset({"archives", "decisions"})
"""Inputs that are not in the lake: the archives of the run, the folder of reviewers' decisions."""


@dataclass(frozen=True)
class Lineage:
    """What a task reads and writes: paths in the lake, or names of `GIVEN`.

    A table that a task reads only to know what is done already is no input of it.
    """

    inputs: tuple[str, ...]
    outputs: tuple[str, ...]


_SCANNED = ("account_parts", "rejected", "source_states")
_INGESTED = (
    *("account_parts", "annotations", "recordings", "reference_texts", "rejected", "scans"),
    *("source_states", "sources", "warnings", "waveforms"),
)
_TRANSCRIBE = Lineage(("recordings", "sources"), ("batches", "rejected", "segments", "transcripts"))
_ALL_TABLES = tuple(SCHEMAS)

LINEAGE = {
    "transcribe_archives.scan": Lineage(("archives",), _SCANNED),
    "transcribe_archives.ingest": Lineage(("archives",), _INGESTED),
    "transcribe_archives.plan": Lineage(
        (
            *("batches", "recordings", "reference_texts", "rejected", "source_states", "sources"),
            "transcripts",
        ),
        ("annotations", "plans", "reference_texts", "rejected", "scans", "sources"),
    ),
    "transcribe_archives.transcribe": _TRANSCRIBE,
    "transcribe_archives.publish": Lineage(_ALL_TABLES, (CATALOG,)),
    "evaluate_transcripts.score": Lineage(
        (
            *("annotations", "baselines", "batches", "reference_texts", "rejected", "reviews"),
            *("segments", "sources", "transcripts", "warnings"),
        ),
        ("reports", "scores", "utterance_errors", "verdicts"),
    ),
    "evaluate_transcripts.publish": Lineage(_ALL_TABLES, (CATALOG,)),
    "transcribe_upload.ingest": Lineage(("archives",), tuple(sorted((*_INGESTED, "plans")))),
    "transcribe_upload.transcribe": _TRANSCRIBE,
    "transcribe_upload.publish": Lineage(_ALL_TABLES, (CATALOG, "uploads")),
    "commit_reviews.commit": Lineage(
        ("decisions", *_ALL_TABLES), (CATALOG, "corrections", "reviews")
    ),
}
"""DAG and task → what the task reads and writes. `maintain_lake` adds nothing to the lake."""

_CONTEXT: Any = object()
"""What collected: Airflow tells the collected apart by it."""


def note_lineage(lake: Lake, given: Iterable[str] = ()) -> None:
    """Note what the running task has read and written. Fails no task.

    Args:
        given: URIs of the archives, or of what else the task has read outside the lake
    """
    try:
        from airflow.sdk.plugins_manager import get_hook_lineage_readers_plugins

        # Without a reader, Airflow's collector takes nothing, but still loads all providers first.
        if get_hook_lineage_readers_plugins():
            _note(lake, given)
    except Exception as error:
        log.warning("what this task has read and written is not known to lineage: %s", error)


def _note(lake: Lake, given: Iterable[str]) -> None:
    from airflow.sdk import get_current_context
    from airflow.sdk.lineage import get_hook_lineage_collector

    ti = get_current_context()["ti"]
    found = LINEAGE[f"{ti.dag_id}.{ti.task_id}"]
    inputs = [*given, *(lake.path(name) for name in found.inputs if name not in GIVEN)]
    outputs = [lake.path(name) for name in found.outputs]
    collector = get_hook_lineage_collector()
    for add, places in (
        (collector.add_input_asset, inputs),
        (collector.add_output_asset, outputs),
    ):
        for uri in filter(None, map(dataset_uri, places)):
            add(_CONTEXT, uri=uri)


def dataset_uri(uri: str) -> str | None:
    """A URI as lineage knows it: canonical, without user and password; None if that is not sure.

    Airflow would take `?` and `#` for the beginning of a query and of a fragment, so they are
    escaped.

    >>> dataset_uri("s3://key:secret@bucket/radio/what?/")
    's3://bucket/radio/what%3F'
    """
    scheme, _, rest = canonical_uri(uri).partition("://")
    authority, slash, path = rest.partition("/")
    _, user, bucket = authority.rpartition("@")
    if ":" in bucket or (user and "@" in path):  # of a password with a slash, this is a part
        return None
    return f"{scheme}://{bucket}{slash}{path}".replace("?", "%3F").replace("#", "%23")
