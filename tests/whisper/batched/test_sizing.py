"""The computed size of a slot is the size of its tensors."""

from __future__ import annotations

import pytest
import torch

from nightscribe.whisper.batched.model import Network
from nightscribe.whisper.batched.sizing import slot_bytes
from nightscribe.whisper.engines import load_model


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16], ids=str)
def test_size_of_a_slot_is_that_of_its_caches_and_logits(dtype: torch.dtype) -> None:
    network = Network(load_model("demo", "cpu").network, dtype)
    caches = network.new_caches(3, 1)
    logits = 3 * network.dims.n_vocab * 4
    assert (
        slot_bytes(network)
        == (caches.self_attention.nbytes + caches.cross_attention.nbytes) // 3 + logits
    )
