"""Plan: divide the pending transcripts into batches of about the same amount of audio.

A batch has recordings that are adjacent in their archives, so that it opens few containers. In
this order, a batch ends where the sum of audio seconds reaches the next multiple of the batch size.
So no batch differs from the size by more than its longest recording. The same lake gives the same
plan.

If several workers share the batches, the last ones are smaller, so that no worker is idle for long
while another works on the last batch: each has at most half of one worker's share of the rest, down
to a sixteenth of the size. This is guided self-scheduling (Polychronopoulos and Kuck 1987, IEEE
Transactions on Computers C-36(12), pp. 1425-1439), here with half of their share.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace

import pyarrow as pa

from nightscribe.lake.damage import explains
from nightscribe.lake.keys import KEYS
from nightscribe.lake.rows import rows_of
from nightscribe.lake.specs import write_spec
from nightscribe.lake.tables import Lake
from nightscribe.manifests.annotate import finish_manifests
from nightscribe.settings import Settings
from nightscribe.stages.cutting import cut_rows
from nightscribe.stages.estimate import besides_s, estimate
from nightscribe.stages.expected_speed import batch_audio_s, speed_of
from nightscribe.stages.order import Order
from nightscribe.stages.pending import PENDING, Wanted, pending
from nightscribe.stages.run_ids import work_folder

__all__ = ["BATCH", "Plan", "cut", "plan", "plan_run"]


_SMALLEST = 16
"""The smallest batches have this part of the size: each loads the model, which takes seconds."""

BATCH = pa.schema(
    [
        ("batch_id", pa.string()),
        *PENDING,
        ("model_id", pa.string()),
        ("model", pa.string()),
        ("force", pa.bool_()),
    ]
)
"""Columns of a batch spec: one row per pending transcript."""


@dataclass(frozen=True)
class Plan:
    """The batch specs of a run, and their totals."""

    specs: list[str]  # paths in the lake
    recordings: int
    transcripts: int
    audio_s: float  # counted once per task
    already_done: int  # wanted transcripts that exist
    rtfx: float | None = None  # of a worker, if it is known

    def summary(self) -> str:
        """One line for people."""
        if not self.specs:
            return f"plan: nothing to transcribe, {self.already_done} transcripts exist already"
        return (
            f"plan: {self.recordings} recordings, {self.transcripts} transcripts, "
            f"{self.audio_s / 3600:.3f} h of audio in {len(self.specs)} batches; "
            f"{self.already_done} exist already"
        )


def plan(
    lake: Lake,
    wanted: Wanted,
    *,
    folder: str,
    run_id: str,
    batch_audio_s: float,
    max_batches: int,
    workers: int = 1,
) -> Plan:
    """Write a batch spec below `folder` for each batch of pending transcripts.

    Which transcripts are pending: see `nightscribe.stages.pending.pending`. Batches are larger than
    `batch_audio_s` seconds if there would be more than `max_batches`, and the last ones are smaller
    if there are several workers.

    Raises `ConfigurationError` for a data set that is not in the lake.
    """
    specs = []
    with pending(lake, wanted) as missing:
        batches = cut(missing.rows(), missing.audio_s, batch_audio_s, max_batches, workers)
        for number, rows in enumerate(batches):
            path = f"{folder}/batch-{number:05d}.parquet"
            specs.append(write_spec(lake, path, _spec(rows, wanted, run_id)))
    return Plan(
        specs=specs,
        recordings=missing.recordings,
        transcripts=missing.transcripts,
        audio_s=missing.audio_s,
        already_done=missing.already_done,
    )


@explains
def plan_run(
    lake: Lake,
    order: Order,
    run_id: str,
    settings: Settings,
    max_batches: int,
    workers: int = 1,
) -> Plan:
    """Apply the manifests that the scan has read, then plan the pending transcripts.

    If there are any, the table `plans` gets a row, which the progress of the run is compared with.

    Args:
        workers: how many batches are transcribed at once
    """
    wanted = order.wanted(settings)
    folder = work_folder(run_id)
    finish_manifests(lake, folder, run_id)
    speed = speed_of(lake, wanted.model_id, settings.device)
    planned = plan(
        lake,
        wanted,
        folder=folder,
        run_id=run_id,
        batch_audio_s=batch_audio_s(settings, speed.expected),
        max_batches=max_batches,
        workers=workers,
    )
    rtfx = settings.expected_rtfx or speed.measured
    planned = replace(planned, rtfx=rtfx)
    if planned.specs:
        batches = len(planned.specs)
        expected_s = None
        if rtfx:
            time = estimate(planned.audio_s, batches, workers, besides_s(lake), rtfx)
            expected_s = time.expected_s
        row = {
            "model_id": wanted.model_id,
            "model": wanted.model,
            "recordings": planned.recordings,
            "transcripts": planned.transcripts,
            "audio_s": planned.audio_s,
            "batches": batches,
            "workers": workers,
            "rtfx": planned.rtfx,
            "expected_s": expected_s,
        }
        lake.upsert("plans", rows_of("plans", [row], run_id), KEYS["plans"])
    return planned


def cut(
    pending: Iterable[pa.RecordBatch],
    audio_s: float,
    batch_audio_s: float,
    max_batches: int,
    workers: int = 1,
) -> Iterator[pa.Table]:
    """Cut rows, in order, into at most `max_batches` tables of about `batch_audio_s` seconds.

    A recording is not split. With one worker, every table but the last has the size, to within the
    length of its longest recording.

    Args:
        pending: rows with recording_id and duration_s; rows of a recording are consecutive
        audio_s: sum of duration_s
    """
    size = max(batch_audio_s, audio_s / max_batches)
    # At most so many batches are smaller: those that take a part of the rest, then the smallest.
    tapered = 2 * workers * (1 + math.log(_SMALLEST))
    tapers = workers > 1 and audio_s / size + tapered <= max_batches
    last: str | None = None
    cuts, reached = 0, 0.0

    def next_size() -> float:
        share = (audio_s - reached) / (2 * workers)
        return min(size, max(size / _SMALLEST, share)) if tapers else size

    goal = next_size()

    def begins(recording_id: str, seconds: float) -> bool:
        nonlocal last, cuts, reached, goal
        is_next = last is not None and recording_id != last
        full = is_next and reached >= goal and cuts < max_batches - 1
        if full:
            cuts += 1
            now = next_size()
            goal = max(goal + now, reached + now / 2)
        last = recording_id
        reached += seconds
        return full

    return cut_rows(pending, ("recording_id", "duration_s"), begins)


def _spec(rows: pa.Table, wanted: Wanted, run_id: str) -> pa.Table:
    """A batch spec with the columns of `BATCH`, from rows with those of `PENDING`."""
    constants = {
        "batch_id": pa.scalar(_batch_id(rows, wanted, run_id)),
        "model_id": pa.scalar(wanted.model_id),
        "model": pa.scalar(wanted.model),
        "force": pa.scalar(wanted.force),
    }
    for name, value in constants.items():
        rows = rows.append_column(name, pa.repeat(value, rows.num_rows))
    return rows.select(BATCH.names).cast(BATCH)


def _batch_id(rows: pa.Table, wanted: Wanted, run_id: str) -> str:
    """The id of a batch: a digest of its model and transcripts, so that it is the same in all runs.

    With `force`, every run makes the transcripts again, so the digest includes the run id.
    """
    digest = hashlib.sha256(wanted.model_id.encode())
    if wanted.force:
        digest.update(run_id.encode())
    columns = [rows[name].to_pylist() for name in ("recording_id", "task", "options_key")]
    for key in sorted(zip(*columns, strict=True)):
        digest.update("\0".join(key).encode() + b"\n")
    return digest.hexdigest()[:16]
