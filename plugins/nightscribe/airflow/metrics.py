"""Figures of the tasks for Airflow's metrics, which it sends to OpenTelemetry where it is set so.

Every name and its meaning is in `METRICS`; Airflow puts its own prefix before it. Counters are of
processes that live for one task, so a collector must add them up: see docs/deployment.md.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from nightscribe.stages.ingest_queue import Ingested
    from nightscribe.stages.plan import Plan
    from nightscribe.stages.transcribe import Transcribed

__all__ = ["METRICS", "count_batch", "count_ingested", "show_pending", "show_plan", "show_scores"]

METRICS = {
    "nightscribe.ingest.files": "counter by worker: files that were read",
    "nightscribe.ingest.recordings": "counter by worker: recordings that are new",
    "nightscribe.ingest.rejected": "counter by worker: files and lines of manifests that cannot "
    "be used",
    "nightscribe.plan.transcripts": "gauge: transcripts that the newest run was to make",
    "nightscribe.plan.audio_s": "gauge: their audio, in seconds",
    "nightscribe.plan.batches": "gauge: their batches",
    "nightscribe.batch.transcripts": "counter by model and worker: transcripts that were made",
    "nightscribe.batch.rejected": "counter by model and worker: transcripts that could not be made",
    "nightscribe.batch.audio_s": "counter by model and worker: their audio, in seconds",
    "nightscribe.batch.rtfx": "gauge by model and worker: seconds of audio a second of computing",
    "nightscribe.batch.busy": "gauge by model and worker: share of the last batch's time in which "
    "the engine worked, and did not import, load the model, or commit",
    "nightscribe.lake.pending": "gauge: recordings with neither a transcript nor a rejection",
    "nightscribe.lake.oldest_pending": "gauge: when the oldest of them was ingested, in seconds "
    "since 1970; without any, when the run was published",
    "nightscribe.evaluation.score": "gauge by model, task, data set, language and metric: the "
    "metric that the report quotes, as in the table `scores`",
}
"""Name → kind and meaning."""


def count_ingested(ingested: Ingested, worker: str) -> None:
    """Count the files of one ingest task."""
    here = {"worker": worker}
    _count("nightscribe.ingest.files", ingested.files, here)
    _count("nightscribe.ingest.recordings", ingested.recordings, here)
    _count("nightscribe.ingest.rejected", ingested.rejected, here)


def show_plan(planned: Plan) -> None:
    """Show what a run is to transcribe."""
    _show("nightscribe.plan.transcripts", planned.transcripts)
    _show("nightscribe.plan.audio_s", planned.audio_s)
    _show("nightscribe.plan.batches", len(planned.specs))


def count_batch(batch: Transcribed, worker: str, task_s: float) -> None:
    """Count the transcripts of a batch, and show its speed. `task_s`: time of the task so far."""
    if not batch.model:
        return
    here = {"model": batch.model, "worker": worker}
    _count("nightscribe.batch.transcripts", batch.transcripts, here)
    _count("nightscribe.batch.rejected", batch.rejections, here)
    _count("nightscribe.batch.audio_s", round(batch.audio_s), here)
    _show("nightscribe.batch.rtfx", batch.rtfx, here)
    _show("nightscribe.batch.busy", batch.wall_s / task_s, here)


def show_pending(recordings: int, oldest: float) -> None:
    """Show what the lake still lacks. `oldest`: a time, in seconds since 1970."""
    _show("nightscribe.lake.pending", recordings)
    _show("nightscribe.lake.oldest_pending", oldest)


def show_scores(rows: Iterable[Mapping[str, Any]]) -> None:
    """Show the headline figures of an evaluation: rows of the table `scores`."""
    for row in rows:
        if row["headline"]:
            tags = {name: row[name] for name in ("model", "task", "dataset", "language", "metric")}
            _show("nightscribe.evaluation.score", row["value"], tags)


def _count(name: str, number: int, tags: Mapping[str, str]) -> None:
    from airflow.sdk.observability import stats

    stats.incr(name, count=number, tags=dict(tags))


def _show(name: str, value: float, tags: Mapping[str, str] | None = None) -> None:
    from airflow.sdk.observability import stats

    stats.gauge(name, value, tags=dict(tags or {}))
