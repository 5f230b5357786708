"""The device to compute on, and the precision of its matrix products."""

from __future__ import annotations

import os
from pathlib import Path

from nightscribe.errors import ConfigurationError
from nightscribe.settings import CHOOSE_DEVICE, DEVICE

__all__ = [
    "NVIDIA_GPUS",
    "PRECISIONS",
    "check_device_name",
    "has_nvidia_gpu",
    "pick_device",
    "pick_precision",
]

PRECISIONS = ("auto", "float32", "float16", "bfloat16")

NVIDIA_GPUS = Path("/proc/driver/nvidia/gpus")
"""Where NVIDIA's driver for Linux has a folder for each GPU."""


def check_device_name(device: str) -> None:
    """Raise `ConfigurationError` for a name that is none of a device, on whatever machine."""
    if DEVICE.fullmatch(device) is None:
        raise ConfigurationError(f"device {device!r}: {CHOOSE_DEVICE}")


def pick_device(device: str) -> str:
    """The device of that name. `auto` is CUDA if this machine has it, else the CPU.

    Raises:
        ConfigurationError: this machine has no such device, or the name is none of a device.
    """
    check_device_name(device)
    import torch

    if device == "auto":
        return "cuda" if torch.cuda.is_available() else "cpu"
    if device == "cpu":
        return device
    if not torch.cuda.is_available():
        raise ConfigurationError(
            f"device {device!r}: PyTorch finds no CUDA device on this machine; choose auto or cpu"
        )
    count = torch.cuda.device_count()
    number = device.partition(":")[2]
    if number and int(number) >= count:
        raise ConfigurationError(
            f"device {device!r}: this machine has {count} CUDA device(s), counted from cuda:0"
        )
    return device


def pick_precision(precision: str, device: str) -> str:
    """The precision of matrix products. `auto` is `float16` on CUDA and `float32` on a CPU.

    Raises:
        ConfigurationError: there is no such precision, or the device does not compute in it.
    """
    import torch

    cuda = device.startswith("cuda")
    if precision == "auto":
        return "float16" if cuda else "float32"
    if precision not in PRECISIONS:
        raise ConfigurationError(f"precision {precision!r}: choose one of {', '.join(PRECISIONS)}")
    if precision == "float16" and not cuda:
        raise ConfigurationError(
            "precision 'float16' is for graphics cards: choose auto, float32 or bfloat16 on a CPU"
        )
    if precision == "bfloat16":
        # Without instructions for it, a device emulates it, which is slower than float32.
        if cuda:
            has_it = torch.cuda.get_device_capability(device) >= (8, 0)  # Ampere
        else:
            known = torch.cpu.get_capabilities()
            has_it = any(known.get(name) for name in ("avx512_bf16", "amx_bf16", "bf16"))
        if not has_it:
            raise ConfigurationError(
                f"precision 'bfloat16': the device {device} has no instructions for it; choose auto"
            )
    return precision


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
