"""How fast a model will be: what batches are sized by."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import duckdb

from nightscribe.lake.reading import connect
from nightscribe.lake.tables import Lake
from nightscribe.settings import Settings
from nightscribe.whisper.devices import NVIDIA_GPUS, has_nvidia_gpu

__all__ = ["CPU_RTFX", "GPU_RTFX", "Speed", "batch_audio_s", "speed_of"]

CPU_RTFX, GPU_RTFX = 1.0, 20.0
"""Assumed speed of a model that has no batch in the lake yet; it only sizes the first batches.

It is about the speed of openai-whisper's larger models."""


@dataclass(frozen=True)
class Speed:
    """How many seconds of audio a worker transcribes in a second.

    Attributes:
        expected: `measured`, or `CPU_RTFX` or `GPU_RTFX` if nothing was measured
        measured: None if the model never ran
    """

    expected: float
    measured: float | None


def speed_of(lake: Lake, model_id: str, device: str, *, gpus: Path = NVIDIA_GPUS) -> Speed:
    """The speed of a model on a device.

    It is the median of the model's last 20 batches in this lake on the same kind of device (CPU or
    GPU).

    Args:
        device: `cpu`, `cuda…` or `auto`. `auto` means the kind of device of the model's newest
            batch; without a batch, a GPU if this machine has one (see `has_nvidia_gpu`).
        gpus: where the driver lists the machine's GPUs
    """
    with connect(lake, views=["batches"]) as connection:
        on_gpu = _will_use_gpu(connection, model_id, device, gpus)
        [(median,)] = connection.execute(
            """SELECT median(rtfx) FROM (SELECT rtfx FROM batches
                 WHERE model_id = ? AND transcripts > 0 AND (device <> 'cpu') = ?
                 ORDER BY created_at DESC LIMIT 20)""",
            [model_id, on_gpu],
        ).fetchall()
    measured = float(median) if median else None
    return Speed(measured or (GPU_RTFX if on_gpu else CPU_RTFX), measured)


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


def batch_audio_s(settings: Settings, rtfx: float) -> float:
    """Size of a batch in seconds of audio: `batch_minutes` at the expected speed.

    The setting `expected_rtfx` takes precedence over `rtfx`, in seconds of audio per second.
    """
    return settings.batch_minutes * 60.0 * (settings.expected_rtfx or rtfx)
