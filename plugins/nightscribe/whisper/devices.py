"""Devices: what this machine has, found without importing torch, which takes seconds."""

from __future__ import annotations

import os
from pathlib import Path

__all__ = ["NVIDIA_GPUS", "has_nvidia_gpu"]

NVIDIA_GPUS = Path("/proc/driver/nvidia/gpus")
"""Where NVIDIA's driver for Linux has a folder for each GPU."""


def has_nvidia_gpu(gpus: Path = NVIDIA_GPUS) -> bool:
    """Whether a process of this machine may use an NVIDIA GPU.

    `CUDA_VISIBLE_DEVICES` hides all GPUs where it is empty or begins with -1, as for CUDA:
    https://docs.nvidia.com/cuda/cuda-c-programming-guide/index.html#cuda-environment-variables
    """
    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    if visible is not None and visible.split(",")[0].strip() in ("", "-1"):
        return False
    try:
        return any(gpus.iterdir())
    except FileNotFoundError:
        return False
