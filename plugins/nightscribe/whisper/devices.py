"""The device that computes, and the precision of its matrix products."""

from __future__ import annotations

import re

from nightscribe.errors import ConfigurationError

PRECISIONS = ("auto", "float32", "float16", "bfloat16")


def pick_device(device: str) -> str:
    """`auto` is CUDA if there is one, else the CPU; others must be there.

    Raises:
        ConfigurationError: no such device on this machine, or not a device's name.
    """
    import torch

    if device == "auto":
        return "cuda" if torch.cuda.is_available() else "cpu"
    if device == "cpu":
        return device
    match = re.fullmatch(r"cuda(?::(\d+))?", device)
    if match is None:
        raise ConfigurationError(f"device {device!r}: choose auto, cpu, cuda or cuda:N")
    if not torch.cuda.is_available():
        raise ConfigurationError(
            f"device {device!r}: PyTorch finds no CUDA device on this machine; choose auto or cpu"
        )
    count = torch.cuda.device_count()
    if match[1] is not None and int(match[1]) >= count:
        raise ConfigurationError(
            f"device {device!r}: this machine has {count} CUDA device(s), counted from cuda:0"
        )
    return device


def pick_precision(precision: str, device: str) -> str:
    """Of matrix products: `auto` is `float16` on CUDA and `float32` on a CPU.

    Raises:
        ConfigurationError: no such precision, or one that the device does not compute in.
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
        # Without instructions for it, a device imitates it, slower than float32.
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
