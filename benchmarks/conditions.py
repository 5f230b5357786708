"""The conditions of a benchmark: model, archive, device, versions. The figures depend on them."""

from __future__ import annotations

import os
import platform
import time
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from benchmarks.archive import Recorded

_PACKAGES = (
    *("nightscribe", "openai-whisper", "torch"),
    *("faster-whisper", "ctranslate2", "pywhispercpp", "transformers"),
)


@dataclass(frozen=True)
class Conditions:
    """What is measured, where and when."""

    model: str
    tokens_per_window: int | None  # with random weights; None for a real checkpoint
    recordings: int
    seconds: float
    device: str
    threads: int
    time: str
    versions: dict[str, str]

    def __str__(self) -> str:
        versions = ", ".join(f"{name} {number}" for name, number in self.versions.items())
        model = f"model {self.model}"
        if self.tokens_per_window:
            model = (
                f"{self.model} with RANDOM weights: every engine decodes "
                f"{self.tokens_per_window} tokens per window, without the previous text as prompt; "
                "texts have no meaning, and times can only be compared within this run"
            )
        return (
            f"{model}\n"
            f"{self.recordings} recordings, {self.seconds / 60:.1f} min of audio\n"
            f"{self.device}, {self.threads} threads, {self.time}\n"
            f"{versions}\n"
        )


def conditions(
    *, model: str, tokens: int | None, archive: Sequence[Recorded], device: str, threads: int
) -> Conditions:
    """The conditions of this run on this machine."""
    return Conditions(
        model=model,
        tokens_per_window=tokens,
        recordings=len(archive),
        seconds=sum(recorded.seconds for recorded in archive),
        device=_graphics_card() if device == "cuda" else processor(),
        threads=threads,
        time=time.strftime("%Y-%m-%d %H:%M %Z"),
        versions=_versions(),
    )


def _versions() -> dict[str, str]:
    found = {}
    for package in _PACKAGES:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            continue
    return found


def _graphics_card() -> str:
    import torch

    return str(torch.cuda.get_device_name())


def processor() -> str:
    """Name of the processor, and the number of cores that this process may use."""
    lines = Path("/proc/cpuinfo").read_text().splitlines()
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    name = names[0] if names else platform.machine()
    return f"{name}, {len(os.sched_getaffinity(0))} cores"
