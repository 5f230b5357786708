"""The computed size of a slot is the size of its tensors."""

from __future__ import annotations

import dataclasses

import pytest
import torch
from whisper.model import AudioEncoder, TextDecoder

from nightscribe.whisper.batched import sizing
from nightscribe.whisper.batched.model import Network
from nightscribe.whisper.batched.random_weights import SHAPES
from nightscribe.whisper.batched.sizing import slot_bytes, slots_that_fit
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


@pytest.mark.parametrize(
    ("shape", "slots"), [("demo", 16), ("tiny", 10), ("base.en", 5), ("large-v3", 9)]
)
def test_caches_on_a_cpu_are_about_as_large_as_the_weights(
    shape: str, slots: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    network = Network(load_model("demo", "cpu").network, torch.float32)
    if shape != "demo":
        network.dims = dims = SHAPES[shape]
        with torch.device("meta"):
            encoder = AudioEncoder(*dataclasses.astuple(dims)[:5])
            decoder = TextDecoder(*dataclasses.astuple(dims)[5:])
        weights = [*encoder.parameters(), *decoder.parameters()]
        network.weight_bytes = 4 * sum(weight.numel() for weight in weights)
    monkeypatch.setattr(sizing, "free_memory", lambda: 64 * 1024**3)
    assert slots_that_fit(network) == slots
    monkeypatch.setattr(sizing, "free_memory", lambda: 12 * slot_bytes(network))
    assert slots_that_fit(network) == 3
    monkeypatch.setattr(sizing, "free_memory", lambda: 0)
    assert slots_that_fit(network) == 1


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16], ids=str)
def test_weights_that_are_taken_are_in_memory_once(dtype: torch.dtype) -> None:
    """And compute the same."""
    kept, taken = load_model("demo", "cpu").network, load_model("demo", "cpu").network
    mel = torch.randn(2, 80, 3000, generator=torch.Generator().manual_seed(1))
    whole, only = Network(kept, dtype), Network(taken, dtype, take=True)
    assert whole.weight_bytes == only.weight_bytes > 0
    assert sum(weight.numel() for weight in taken.parameters()) == 0
    assert sum(weight.numel() for weight in kept.parameters()) > 0
    features = only.encode(mel)
    assert torch.equal(whole.encode(mel), features)
    tokens = torch.tensor([[50258, 50259, 50359], [50258, 50262, 50358]])
    for ours, theirs in zip(
        only.run_decoder(tokens, features), whole.run_decoder(tokens, features), strict=True
    ):
        assert torch.equal(ours, theirs)
