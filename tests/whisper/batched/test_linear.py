"""Packed linear layers compute what PyTorch's own compute."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F  # noqa: N812 - its usual name
from hypothesis import given, settings
from hypothesis import strategies as st

from nightscribe.whisper.batched.linear import Linear


@settings(deadline=None, max_examples=80)
@given(
    st.lists(st.integers(1, 5), max_size=2),
    st.integers(1, 40),
    st.integers(1, 70),
    st.integers(1, 70),
    st.booleans(),
)
def test_a_layer_gives_what_pytorch_gives(
    batch: list[int], rows: int, inputs: int, outputs: int, biased: bool
) -> None:
    random = torch.Generator().manual_seed(rows * inputs + outputs)
    x = torch.randn(*batch, rows, inputs, generator=random)
    weight = torch.randn(outputs, inputs, generator=random)
    bias = torch.randn(outputs, generator=random) if biased else None
    layer = Linear(weight, bias)
    assert layer.packed == torch.backends.mkldnn.is_available()
    found = layer(x)
    assert found.shape == (*batch, rows, outputs)
    torch.testing.assert_close(found, F.linear(x, weight, bias), rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(layer.gelu(x), F.gelu(found), rtol=1e-4, atol=1e-4)
    other = torch.randn(found.shape, generator=random)
    before = other.clone()
    torch.testing.assert_close(layer.added_to(other, x), other + found, rtol=1e-4, atol=1e-4)
    assert torch.equal(other, before)


def test_input_may_be_a_slice_of_a_larger_tensor() -> None:
    random = torch.Generator().manual_seed(0)
    weight = torch.randn(30, 20, generator=random)
    x = torch.randn(4, 6, 40, generator=random)[:, ::2, 10:30]
    torch.testing.assert_close(Linear(weight)(x), F.linear(x, weight), rtol=1e-4, atol=1e-4)


def test_bfloat16_is_rounded_once() -> None:
    random = torch.Generator().manual_seed(0)
    weight, x, bias = (
        torch.randn(shape, generator=random).bfloat16() for shape in ((30, 200), (9, 200), (30,))
    )
    exact = F.linear(x.double(), weight.double(), bias.double())
    found = Linear(weight, bias)(x)
    assert found.dtype == torch.bfloat16
    torch.testing.assert_close(found.double(), exact, rtol=2**-8, atol=2**-7)
    other = torch.randn(exact.shape, generator=random).bfloat16()
    added = Linear(weight, bias).added_to(other, x)
    torch.testing.assert_close(added.double(), exact + other.double(), rtol=2**-8, atol=2**-7)
    curved = Linear(weight, bias).gelu(x)
    torch.testing.assert_close(curved.double(), F.gelu(exact), rtol=2**-8, atol=2**-7)


@pytest.mark.parametrize("dtype", [torch.float64, torch.float16])
def test_other_precisions_use_pytorchs_own_layer(dtype: torch.dtype) -> None:
    weight, x = torch.eye(3, dtype=dtype), torch.tensor([[1.0, 2.0, 3.0]], dtype=dtype)
    layer = Linear(weight)
    assert torch.equal(layer(x), x)
    assert torch.equal(layer.added_to(x, x), x + x)
    assert torch.equal(layer.gelu(x), F.gelu(x))
