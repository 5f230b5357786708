"""What this machine computes with: cores, memory, the decoder, the model and the device."""

from __future__ import annotations

import io
import os
import platform
import wave
from collections.abc import Iterator
from pathlib import Path

import nightscribe
from nightscribe.audio.cores import usable_cores
from nightscribe.cgroups import cpu_quota, memory_left
from nightscribe.errors import ConfigurationError, ModelError
from nightscribe.settings import GIB, MIB, Settings
from nightscribe.stages.findings import Finding, fail, ok, warn
from nightscribe.whisper import checkpoints
from nightscribe.whisper.devices import (
    PRECISIONS,
    has_nvidia_gpu,
    pick_device,
    pick_precision,
)
from nightscribe.whisper.downloads import check_download
from nightscribe.whisper.official import official_models

__all__ = ["decoder_findings", "device_findings", "machine_findings", "model_findings"]

_PROBE_S = 0.5  # length of the recording that is decoded


def machine_findings() -> Iterator[Finding]:
    """Cores and memory, with the limits of this process's control groups."""
    quota = cpu_quota()
    limit = "" if quota is None else f" (the control group allows {quota:g})"
    yield ok(
        "machine",
        f"Nightscribe {nightscribe.__version__}, Python {platform.python_version()}, "
        f"{usable_cores()} cores{limit}",
    )


def decoder_findings() -> Iterator[Finding]:
    """FFmpeg's version, what confines decoder processes, and a WAV file that one of them decodes.

    Raises `NightscribeError` if decoder processes do not start.
    """
    import av

    from nightscribe.audio.operations import Inspection
    from nightscribe.audio.workers import run_one

    outcome = run_one(Inspection(), _silent_wav())
    if abs(outcome.duration_s - _PROBE_S) > 0.01:
        yield fail(
            "decoder", f"{_PROBE_S} s decode to {outcome.duration_s} s", "install PyAV again"
        )
        return
    yield ok("decoder", f"FFmpeg {av.ffmpeg_version_info}, PyAV {av.__version__}; decodes a WAV")
    yield _isolation()


def _isolation() -> Finding:
    """What confines a decoder process, which tries it."""
    from nightscribe.audio.confinement import worker_confinement

    found = worker_confinement()
    return ok(
        "isolation",
        f"decoder processes: files: {found.file_system}; network: {found.network}; "
        f"limits: {found.limits}",
    )


def _silent_wav() -> io.BytesIO:
    content = io.BytesIO()
    with wave.open(content, "wb") as file:
        file.setparams((1, 2, 16_000, 0, "NONE", ""))
        file.writeframes(bytes(2 * int(16_000 * _PROBE_S)))
    content.seek(0)
    return content


def model_findings(settings: Settings, *, verify: bool) -> Iterator[Finding]:
    """Whether the model is at hand or can be downloaded; its hash only if `verify` is set.

    Raises `ModelError` if there is no such model, or `verify` finds another one in its place.
    """
    model = checkpoints.locate_model(settings.model, settings.model_dir)
    if model.size_bytes is None:
        yield from _downloadable(settings.model, Path(model.path))
    else:
        checked = ""
        if verify:
            found = checkpoints.verify(settings.model, settings.model_dir)
            checked = f", SHA-256 {found.model_id}"
        elif model.size_bytes < MIB:
            raise ModelError(
                f"the model {settings.model!r} has only {model.size_bytes} bytes at {model.path}: "
                "copy it again"
            )
        if not os.access(model.path, os.R_OK):
            raise ModelError(f"the model file {model.path} is not readable for this user")
        yield ok(
            "model", f"{settings.model}: {model.path}, {model.size_bytes / 1e6:.1f} MB{checked}"
        )


def _downloadable(name: str, path: Path) -> Iterator[Finding]:
    size = check_download(name, official_models()[name], path)
    yield warn(
        "model",
        f"{name}: not here yet; {size / 1e6:.0f} MB are downloaded when it is first used",
        f"nightscribe models fetch {name}",
    )


def device_findings(settings: Settings) -> Iterator[Finding]:
    """Whether the device computes in the precision, and has memory for the model.

    Raises `ConfigurationError` if this machine lacks the device, or the device the precision.
    """
    import torch

    device = pick_device(settings.device)
    precision = pick_precision(settings.precision, device)
    ones = torch.ones(64, 64, device=device, dtype=getattr(torch, precision))
    if not bool(((ones @ ones).float() == 64).all()):
        yield fail("device", f"{device} computes a product wrongly in {precision}", "repair it")
        return
    others = ", ".join(name for name in PRECISIONS[1:] if _offers(name, device))
    name = torch.cuda.get_device_name(device) if device.startswith("cuda") else platform.machine()
    yield ok(
        "device", f"{device} ({name}), {precision}; offers {others}; torch {torch.__version__}"
    )
    if device == "cpu" and settings.device == "auto" and has_nvidia_gpu():
        yield warn(
            "device",
            "this machine has an NVIDIA GPU, but torch finds none",
            "install the CUDA build of torch, and a driver that is new enough",
        )
    yield from _memory(settings, device)


def _offers(precision: str, device: str) -> bool:
    try:
        pick_precision(precision, device)
    except ConfigurationError:
        return False
    return True


def _memory(settings: Settings, device: str) -> Iterator[Finding]:
    import psutil
    import torch

    free = psutil.virtual_memory().available
    limited = memory_left()
    where = "of main memory"
    if limited is not None and limited < free:
        free, where = limited, "left in this control group"
    if device.startswith("cuda"):
        free, where = torch.cuda.mem_get_info(device)[0], f"of {device}"
    found = f"{free / GIB:.1f} GiB {where} are free"
    try:
        size = checkpoints.locate_model(settings.model, settings.model_dir).size_bytes
    except ModelError:
        size = None  # reported by `model_findings`
    # Official checkpoints are stored in float16 and loaded in float32.
    needed = 2 * (size or 0)
    smaller = "free memory, or choose a smaller model"
    if free < needed:
        yield fail("memory", f"{found}; the model takes {needed / GIB:.1f} GiB", smaller)
    elif free < needed + GIB:
        yield warn("memory", f"{found}; that is little beside the model", smaller)
    else:
        yield ok("memory", f"{found}, the model takes about {max(needed, MIB) / GIB:.1f} GiB")
