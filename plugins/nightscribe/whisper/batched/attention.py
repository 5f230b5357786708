"""Attention of every position of a window to every other, as in the encoder."""

from __future__ import annotations

import torch
import torch.nn.functional as F  # noqa: N812 - its usual name
from torch import Tensor

__all__ = ["full_attention"]

_SCORES = 1_500 * 750
"""Scores of a block, per thread: in bfloat16 2 MB, about what a core's caches hold."""


def full_attention(query: Tensor, keys: Tensor, values: Tensor) -> Tensor:
    """Softmax(query · keys / √size) · values, without a mask; all (batch, heads, length, size).

    In bfloat16 on a CPU, PyTorch's fused kernel is as slow as in float32. There, plain matrix
    products over blocks whose scores stay in the processor's caches are more than twice as fast.
    """
    if query.dtype == torch.bfloat16 and query.device.type == "cpu":
        return _by_blocks(query, keys, values)
    return F.scaled_dot_product_attention(query, keys, values)


def _by_blocks(query: Tensor, keys: Tensor, values: Tensor) -> Tensor:
    shape = query.shape
    length, size = shape[-2:]
    # Whisper's heads have 64 numbers, so the scale is a power of two and costs no precision.
    scaled = (query * size**-0.5).flatten(0, 1)
    keys, values = keys.flatten(0, 1).transpose(-1, -2), values.flatten(0, 1)
    mixed = torch.empty_like(scaled)
    threads = torch.get_num_threads()  # each takes a head
    rows = max(1, _SCORES // keys.shape[-1])
    for head in range(0, len(scaled), threads):
        heads = slice(head, head + threads)
        for first in range(0, length, rows):
            block = slice(first, first + rows)
            scores = torch.bmm(scaled[heads, block], keys[heads])
            mixed[heads, block] = torch.bmm(scores.softmax(-1), values[heads])
    return mixed.view(shape)
