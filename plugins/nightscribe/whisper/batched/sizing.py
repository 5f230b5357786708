"""How many windows fit: slots by free memory and the network's shape."""

from __future__ import annotations

import torch

from nightscribe.whisper.batched.memory import free_memory
from nightscribe.whisper.batched.model import Network

__all__ = ["encoder_batch_size", "slot_bytes", "slots_that_fit"]

# On a CPU a step takes as long as reading weights and caches: more slots gain little once the
# caches are as large as the weights. Of small networks, it grows with every row beyond 16.
_CPU_SLOTS = (4, 16)
_CPU_CACHES = 256 * 1024**2  # bytes that caches may take beside however small a network
_GPU_SLOTS = 256
# Shares of the memory that is free now. The samples of the fallback have a pool of their own, with
# a fifth of the slots and as many rows: up to two fifths more. The rest is for windows in the
# encoder, for temporary tensors of a step and, in main memory, for other processes.
_CPU_SHARE = 0.25
_GPU_SHARE = 0.5
_LOGITS_COPIES = 3  # suppressed tokens, logits after the rules, probabilities to draw from


def slot_bytes(network: Network) -> int:
    """Bytes of a slot of one row: keys and values of the audio and the text, and its logits."""
    dims = network.dims
    element = torch.finfo(network.cache_dtype).bits // 8
    positions = dims.n_audio_ctx + dims.n_text_ctx
    caches = dims.n_text_layer * 2 * positions * dims.n_text_state * element
    total: int = caches + _LOGITS_COPIES * dims.n_vocab * 4
    return total


def slots_that_fit(network: Network) -> int:
    """Number of slots for a network on its device, at least one."""
    if network.device.type == "cuda":
        free, most, share = torch.cuda.mem_get_info(network.device)[0], _GPU_SLOTS, _GPU_SHARE
    else:
        least, limit = _CPU_SLOTS
        caches = max(network.weight_bytes, _CPU_CACHES)
        most = min(limit, max(least, caches // slot_bytes(network)))
        free, share = free_memory(), _CPU_SHARE
    return max(1, min(most, int(free * share / slot_bytes(network))))


def encoder_batch_size(network: Network, slots: int) -> int:
    """Number of windows that are encoded together.

    It is small on a CPU, where a larger batch only leaves the processor's caches.
    """
    return max(1, slots // 8) if network.device.type == "cuda" else min(2, slots)
