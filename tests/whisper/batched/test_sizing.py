"""What a slot is reckoned at is what it takes."""

from __future__ import annotations

import pytest
import torch

from nightscribe.whisper.batched.model import Network
from nightscribe.whisper.batched.sizing import slot_bytes
from nightscribe.whisper.engines import load_model


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16], ids=str)
def test_slots_are_reckoned_at_what_their_caches_take(dtype: torch.dtype) -> None:
    network = Network(load_model("demo", "cpu").network, dtype)
    caches = network.caches(3, 1)
    logits = 3 * network.dims.n_vocab * 4
    assert slot_bytes(network) == (caches.own.nbytes + caches.cross.nbytes) // 3 + logits
