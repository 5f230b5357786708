"""Recordings that lack a transcript → balanced batches.

A batch holds recordings that lie next to each other in their archives, since a batch that
takes its recordings from one tar opens one tar. The recordings in that order are cut
where their audio seconds reach the next multiple of the batch size, so no batch differs
from the size by more than its longest recording. The same lake gives the same plan.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import duckdb
import pyarrow as pa

from nightscribe.lake.reading import connect
from nightscribe.lake.specs import write_spec
from nightscribe.lake.tables import Lake
from nightscribe.settings import Settings
from nightscribe.stages.cutting import cut_rows
from nightscribe.stages.pending import PENDING, Wanted, pending
from nightscribe.whisper.devices import NVIDIA_GPUS, has_nvidia_gpu

BATCH = pa.schema(
    [
        ("batch_id", pa.string()),
        *PENDING,
        ("model_id", pa.string()),
        ("model", pa.string()),
        ("force", pa.bool_()),
    ]
)
"""Columns of a batch spec: one row per transcript that is wanted."""

CPU_RTFX, GPU_RTFX = 1.0, 20.0
"""Processing speed assumed for a model that has not run in this lake yet: about what
openai-whisper's larger models reach; it only sizes the first batches."""


@dataclass(frozen=True)
class Plan:
    """Batch specs (paths in the lake) and what they hold together."""

    specs: list[str]
    recordings: int
    transcripts: int
    audio_s: float  # counted once per task
    already_done: int  # wanted transcripts that exist

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
    lake: Lake, wanted: Wanted, *, folder: str, run_id: str, batch_audio_s: float, max_batches: int
) -> Plan:
    """Write batch specs below `folder` for every transcript that is wanted and not there.

    A (recording, model, task, options) that failed before is left out until one of its
    sources changes, or with `force`; one whose files could not be reached is tried again.
    At most `max_batches` batches: they grow if need be.

    Raises `ConfigurationError` for a data set that is not in the lake.
    """
    specs = []
    with pending(lake, wanted) as missing:
        batches = cut(missing.rows(), missing.audio_s, batch_audio_s, max_batches)
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


def expected_rtfx(lake: Lake, model_id: str, device: str, *, gpus: Path = NVIDIA_GPUS) -> float:
    """Audio seconds per second to expect of a model on a device, `cpu`, `cuda…` or `auto`.

    That is the median of its latest batches in this lake on that kind of device, CPU or GPU. For
    `auto`, the kind is that of its newest batch; without one, a GPU if this machine has one
    (see `has_nvidia_gpu`).
    """
    with connect(lake) as connection:
        on_gpu = _will_use_gpu(connection, model_id, device, gpus)
        [(measured,)] = connection.execute(
            """SELECT median(rtfx) FROM (SELECT rtfx FROM batches
                 WHERE model_id = ? AND transcripts > 0 AND (device <> 'cpu') = ?
                 ORDER BY created_at DESC LIMIT 20)""",
            [model_id, on_gpu],
        ).fetchall()
    return float(measured) if measured else (GPU_RTFX if on_gpu else CPU_RTFX)


def _will_use_gpu(
    connection: duckdb.DuckDBPyConnection, model_id: str, device: str, gpus: Path
) -> bool:
    if device != "auto":
        return device != "cpu"
    newest = connection.execute(
        "SELECT device <> 'cpu' FROM batches WHERE model_id = ? ORDER BY created_at DESC LIMIT 1",
        [model_id],
    ).fetchall()
    return bool(newest[0][0]) if newest else has_nvidia_gpu(gpus)


def cut(
    pending: Iterable[pa.RecordBatch], audio_s: float, batch_audio_s: float, max_batches: int
) -> Iterator[pa.Table]:
    """Cut rows, in their order, into at most `max_batches` tables of about `batch_audio_s`.

    `pending` has columns recording_id and duration_s, rows of a recording adjoining, and lasts
    `audio_s` in all; a recording is never split. Every table but the last comes to the size,
    give or take its longest recording.
    """
    size = max(batch_audio_s, audio_s / max_batches)
    last: str | None = None
    cuts, reached, goal = 0, 0.0, size

    def begins(recording_id: str, seconds: float) -> bool:
        nonlocal last, cuts, reached, goal
        is_next = last is not None and recording_id != last
        full = is_next and reached >= goal and cuts < max_batches - 1
        if full:
            cuts += 1
            goal = max(goal + size, reached + size / 2)
        last = recording_id
        reached += seconds
        return full

    return cut_rows(pending, ("recording_id", "duration_s"), begins)


def _spec(rows: pa.Table, wanted: Wanted, run_id: str) -> pa.Table:
    """A batch spec, like `BATCH`, of rows like `PENDING`."""
    same = {
        "batch_id": pa.scalar(_batch_id(rows, wanted, run_id)),
        "model_id": pa.scalar(wanted.model_id),
        "model": pa.scalar(wanted.model),
        "force": pa.scalar(wanted.force),
    }
    for name, value in same.items():
        rows = rows.append_column(name, pa.repeat(value, rows.num_rows))
    return rows.select(BATCH.names).cast(BATCH)


def _batch_id(rows: pa.Table, wanted: Wanted, run_id: str) -> str:
    """The same transcripts wanted of the same model are the same batch, in whichever run.

    Forced ones are made anew by every run, so there the run is part of the name.
    """
    digest = hashlib.sha256(wanted.model_id.encode())
    if wanted.force:
        digest.update(run_id.encode())
    columns = [rows[name].to_pylist() for name in ("recording_id", "task", "options_key")]
    for key in sorted(zip(*columns, strict=True)):
        digest.update("\0".join(key).encode() + b"\n")
    return digest.hexdigest()[:16]


def batch_audio_s(settings: Settings, rtfx: float) -> float:
    """Audio seconds that a batch of `batch_minutes` holds at this speed."""
    return settings.batch_minutes * 60.0 * (settings.expected_rtfx or rtfx)
