"""Which tokens may follow: as whisper's own filters have it, for any text and any logits."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from whisper.decoding import ApplyTimestampRules, SuppressBlank, SuppressTokens
from whisper.tokenizer import Tokenizer, get_tokenizer

from nightscribe.whisper.batched.token_rules import Rows, Vocabulary, restrict

TOKENIZERS = {True: get_tokenizer(True, num_languages=99), False: get_tokenizer(False)}
SUPPRESSED = (1, 2, 7, 220, 50_000, 50_359, 50_361)


def vocabulary(tokenizer: Tokenizer) -> Vocabulary:
    return Vocabulary(tokenizer.eot, tokenizer.timestamp_begin, tuple(tokenizer.encode(" ")))


@st.composite
def texts(draw: st.DrawFn) -> list[list[int]]:
    """Rows of equal length: stamps that do not go back, words, perhaps the end."""
    multilingual = draw(st.booleans())
    zero = TOKENIZERS[multilingual].timestamp_begin
    length = draw(st.integers(0, 6))
    rows = []
    for _ in range(draw(st.integers(1, 4))):
        stamp, row = 0, []
        for _ in range(length):
            if draw(st.booleans()):
                stamp = min(1500, stamp + draw(st.integers(0, 400)))
                row.append(zero + stamp)
            else:
                row.append(draw(st.integers(0, 50_256)))
        rows.append(row)
    return [[int(multilingual)], *rows]


@settings(deadline=None, max_examples=150)
@given(texts(), st.integers(0, 2**31), st.booleans(), st.sampled_from([None, 0, 50, 1499]))
def test_what_is_left_is_what_whispers_filters_leave(
    rows: list[list[int]], seed: int, timed: bool, latest: int | None
) -> None:
    tokenizer = TOKENIZERS[bool(rows[0][0])]
    rows = rows[1:]
    prompt = [tokenizer.sot]
    size = tokenizer.timestamp_begin + 1501
    random = np.random.default_rng(seed)
    logits = torch.from_numpy(random.normal(0, 4, (len(rows), size)).astype(np.float32))
    # Now and then timestamps are likely, now and then they are not.
    logits[:, tokenizer.timestamp_begin :] += float(random.normal(0, 3))
    suppressed = SUPPRESSED if timed else (*SUPPRESSED, tokenizer.no_timestamps)
    expected = logits.clone()
    tokens = torch.tensor([[*prompt, *row] for row in rows])
    filters = [SuppressBlank(tokenizer, len(prompt)), SuppressTokens(suppressed)]
    if timed:
        filters.append(ApplyTimestampRules(tokenizer, len(prompt), latest))
    for one in filters:
        one.apply(expected, tokens)

    zero = tokenizer.timestamp_begin
    said = len(rows[0])
    never = torch.zeros(1, size)
    never[0, [*suppressed, tokenizer.no_timestamps]] = -torch.inf
    stamps = [[token - zero for token in row if token >= zero][-1:] for row in rows]
    ours = restrict(
        logits,
        Rows(
            said=torch.full((len(rows),), said),
            last=tokens[:, -1],
            before_last=tokens[:, -2] if tokens.shape[1] > 1 else tokens[:, -1],
            stamp=torch.tensor([stamp[0] if stamp else -1 for stamp in stamps]),
            latest_first=torch.full((len(rows),), 1500 if latest is None else latest),
            timed=torch.full((len(rows),), timed),
            blank_allowed=torch.zeros(len(rows), dtype=torch.bool),
            suppressed=never,
        ),
        vocabulary(tokenizer),
    )
    assert torch.equal(ours, expected)


@pytest.mark.parametrize("multilingual", [True, False])
def test_rows_with_and_without_timestamps_share_a_batch(multilingual: bool) -> None:
    tokenizer = TOKENIZERS[multilingual]
    size = tokenizer.timestamp_begin + 1501
    logits = torch.randn(2, size, generator=torch.Generator().manual_seed(0))
    rows = Rows(
        said=torch.tensor([0, 0]),
        last=torch.tensor([tokenizer.sot] * 2),
        before_last=torch.tensor([tokenizer.sot] * 2),
        stamp=torch.tensor([-1, -1]),
        latest_first=torch.tensor([50, 50]),
        timed=torch.tensor([True, False]),
        blank_allowed=torch.tensor([False, True]),
        suppressed=torch.zeros(1, size),
    )
    left = restrict(logits.clone(), rows, vocabulary(tokenizer)).isfinite()
    assert left[0].nonzero()[:, 0].tolist() == list(
        range(tokenizer.timestamp_begin, tokenizer.timestamp_begin + 51)
    )
    assert left[1].all()
