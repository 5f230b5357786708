"""The best text is the one that whisper's own ranking takes."""

from __future__ import annotations

import torch
from hypothesis import given
from hypothesis import strategies as st
from whisper.decoding import MaximumLikelihoodRanker

from nightscribe.whisper.batched.text_ranking import RankedText, best_text

TEXTS = st.lists(
    st.builds(
        RankedText, st.lists(st.integers(0, 9), min_size=1, max_size=9), st.floats(-100, -0.01)
    ),
    min_size=1,
    max_size=6,
)


@given(TEXTS, st.sampled_from([None, 0.0, 0.5, 1.0]))
def test_best_text_is_that_of_whispers_ranking(
    texts: list[RankedText], length_penalty: float | None
) -> None:
    tokens = [[torch.tensor(text.tokens) for text in texts]]
    scores = [[text.logprob for text in texts]]
    [best] = MaximumLikelihoodRanker(length_penalty).rank(tokens, scores)
    assert best_text(texts, length_penalty) is texts[best]


def test_an_empty_text_counts_as_one_token() -> None:
    empty, short = RankedText([], -1.0), RankedText([1, 2], -2.1)
    assert best_text([empty, short], None) is empty
    assert best_text([RankedText([], -1.0), RankedText([1, 2], -1.9)], None).tokens == [1, 2]
