"""Attention by blocks is attention: against the formula in float64."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from nightscribe.whisper.batched.attention import full_attention


def by_formula(query: Tensor, keys: Tensor, values: Tensor) -> Tensor:
    scores = query.double() @ keys.double().transpose(-1, -2) / query.shape[-1] ** 0.5
    return scores.softmax(-1) @ values.double()


@settings(max_examples=15, deadline=None)
@given(
    windows=st.integers(1, 3),
    heads=st.integers(1, 7),
    length=st.integers(1, 1_600),
    size=st.sampled_from([8, 64]),
    dtype=st.sampled_from([torch.float32, torch.bfloat16]),
    seed=st.integers(0, 9),
)
def test_every_shape_gives_the_formulas_result(
    windows: int, heads: int, length: int, size: int, dtype: torch.dtype, seed: int
) -> None:
    random = torch.Generator().manual_seed(seed)
    # As in the network, the heads are parts of one projection.
    projected = torch.randn(windows, length, 3 * heads * size, generator=random).to(dtype)
    query, keys, values = (
        part.view(windows, length, heads, size).transpose(1, 2)
        for part in projected.chunk(3, dim=-1)
    )
    mixed = full_attention(query, keys, values)
    assert mixed.shape == query.shape
    assert mixed.dtype == dtype
    error = (mixed.double() - by_formula(query, keys, values)).norm()
    share = error / by_formula(query, keys, values).norm()
    assert share < (1e-5 if dtype == torch.float32 else 0.03)


@pytest.mark.parametrize("threads", [1, 3])
def test_a_block_does_not_see_how_many_there_are(threads: int) -> None:
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        query, keys, values = torch.randn(3, 1, 4, 1_500, 64).bfloat16()
        whole = full_attention(query, keys, values)
        first = full_attention(query[:, :, :900], keys, values)
        torch.testing.assert_close(whole[:, :, :900], first, atol=0.01, rtol=0.02)
    finally:
        torch.set_num_threads(before)
