"""Tokens are drawn by their probabilities, and a draw depends on its random number alone."""

from __future__ import annotations

import pytest
import torch

from nightscribe.whisper.batched.sampling import most_probable, sample

LOGITS = torch.tensor([1.0, 3.0, -torch.inf, 2.0])


@pytest.mark.parametrize("temperature", [0.2, 0.6, 1.0])
def test_shares_of_draws_are_the_probabilities(temperature: float) -> None:
    count = 10_000
    random = (torch.arange(count, dtype=torch.float64) + 0.5) / count  # evenly from 0 to 1
    tokens = sample(LOGITS.expand(count, -1), torch.full((count,), temperature), random)
    shares = torch.bincount(tokens, minlength=len(LOGITS)) / count
    expected = (LOGITS / temperature).softmax(-1)
    torch.testing.assert_close(shares, expected, atol=2 / count, rtol=0)


def test_rows_at_temperature_0_get_the_most_probable_token() -> None:
    random = torch.tensor([0.0, 0.0, 0.999999], dtype=torch.float64)
    tokens = sample(LOGITS.expand(3, -1), torch.tensor([0.0, 1.0, 1.0]), random)
    assert tokens.tolist() == [1, 0, 3]
    assert most_probable(LOGITS[None]).tolist() == [1]
