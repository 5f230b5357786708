"""How many windows fit: slots from free memory and the network's shape."""

from __future__ import annotations

import torch

from nightscribe.whisper.batched.memory import free_memory
from nightscribe.whisper.batched.model import Network

_CPU_SLOTS = 16  # where a step's cost begins to grow with every further row
_GPU_SLOTS = 256
# Of what is free now. Fallback's samples have a lane of their own, with a fifth of the slots and as
# many rows: up to two fifths again. The rest is for windows in the encoder, for what a step needs
# in passing and, in main memory, for others.
_CPU_SHARE = 0.25
_GPU_SHARE = 0.5
_COPIES = 3  # of the logits: what restricts them, as they are restricted, what is drawn from


def slot_bytes(network: Network) -> int:
    """What a slot of one row holds: keys and values of the audio and the text, and its logits."""
    dims = network.dims
    element = torch.finfo(network.cached).bits // 8
    positions = dims.n_audio_ctx + dims.n_text_ctx
    caches = dims.n_text_layer * 2 * positions * dims.n_text_state * element
    held: int = caches + _COPIES * dims.n_vocab * 4
    return held


def slots_that_fit(network: Network) -> int:
    """Slots for a network on its device, at least one."""
    if network.device.type == "cuda":
        free, most, share = torch.cuda.mem_get_info(network.device)[0], _GPU_SLOTS, _GPU_SHARE
    else:
        free, most, share = free_memory(), _CPU_SLOTS, _CPU_SHARE
    return max(1, min(most, int(free * share / slot_bytes(network))))


def windows_at_once(network: Network, slots: int) -> int:
    """Windows that are encoded together: few on a CPU, where more only fall out of its caches."""
    return max(1, slots // 8) if network.device.type == "cuda" else min(2, slots)
