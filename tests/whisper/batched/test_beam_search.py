"""A step of beam search keeps and ends the texts that whisper's own beam search does."""

from __future__ import annotations

import random
from collections.abc import Sequence

import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from whisper.decoding import BeamSearchDecoder, Inference

from nightscribe.whisper.batched.beam_search import beam_step

VOCABULARY = 7
EOT = 6
PROMPT = (1, 2)


class NoCache(Inference):
    """A network without a cache: there is nothing to rearrange."""

    def rearrange_kv_cache(self, source_indices: Sequence[int]) -> None:
        """Do nothing."""


def logits_of(texts: list[list[int]], window_of_row: list[int], seed: int) -> torch.Tensor:
    """Made-up logits, the same for the same window and text."""
    rows = []
    for window, text in zip(window_of_row, texts, strict=True):
        pick = random.Random(f"{seed} {window} {text}")
        rows.append([pick.gauss(0, 2) for _ in range(VOCABULARY)])
    return torch.tensor(rows)


def theirs(
    windows: int, beams: int, steps: int, patience: float, seed: int
) -> tuple[list[list[int]], list[float], list[dict[tuple[int, ...], float]]]:
    decoder = BeamSearchDecoder(beams, EOT, NoCache(), patience)
    window_of_row = [row // beams for row in range(windows * beams)]
    tokens = torch.tensor([PROMPT] * len(window_of_row))
    logprob = torch.zeros(len(window_of_row))
    for _ in range(steps):
        logits = logits_of(tokens.tolist(), window_of_row, seed)
        tokens, _ = decoder.update(tokens, logits, logprob)
    finished = [
        {tuple(text[len(PROMPT) : -1]): score for text, score in ended.items()}
        for ended in decoder.finished_sequences
    ]
    return tokens.tolist(), logprob.tolist(), finished


def ours(
    windows: int, beams: int, steps: int, patience: float, seed: int
) -> tuple[list[list[int]], list[float], list[dict[tuple[int, ...], float]]]:
    rows = torch.arange(windows * beams)
    window_of_row = (rows // beams).tolist()
    texts = [list(PROMPT) for _ in window_of_row]
    logprob = torch.zeros(len(rows))
    finished: list[dict[tuple[int, ...], float]] = [{} for _ in range(windows)]
    for number in range(steps):
        first = torch.full((len(rows),), number == 0)
        logits = logits_of(texts, window_of_row, seed)
        step = beam_step(logits, logprob, rows, beams, first, EOT)
        for ended in step.ended:
            if len(finished[ended.window]) < round(beams * patience):
                finished[ended.window][tuple(texts[ended.source][len(PROMPT) :])] = ended.logprob
        texts = [
            [*texts[source], token]
            for source, token in zip(step.source.tolist(), step.tokens.tolist(), strict=True)
        ]
        logprob = step.logprob
    return texts, logprob.tolist(), finished


@settings(deadline=None, max_examples=100)
@given(
    st.integers(1, 3),
    st.integers(1, 5),
    st.integers(1, 6),
    st.sampled_from([0.5, 1.0, 2.0]),
    st.integers(0, 10**6),
)
def test_beams_are_those_of_whispers_own_search(
    windows: int, beams: int, steps: int, patience: float, seed: int
) -> None:
    patience = max(patience, 1 / beams)
    texts, logprob, finished = ours(windows, beams, steps, patience, seed)
    their_texts, their_logprob, their_finished = theirs(windows, beams, steps, patience, seed)
    assert texts == their_texts
    torch.testing.assert_close(logprob, their_logprob, rtol=1e-4, atol=1e-4)
    for own, other in zip(finished, their_finished, strict=True):
        assert list(own) == list(other)
        torch.testing.assert_close(list(own.values()), list(other.values()), rtol=1e-4, atol=1e-4)
