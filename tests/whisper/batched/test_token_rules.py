"""The token rules allow what whisper's own filters allow, for any text and any logits."""

from __future__ import annotations

import numpy as np
import pytest
import torch
import whisper
from hypothesis import given, settings
from hypothesis import strategies as st
from whisper.decoding import ApplyTimestampRules, SuppressBlank, SuppressTokens
from whisper.tokenizer import get_tokenizer

from nightscribe.whisper.batched.token_rules import (
    RowTexts,
    SpecialTokens,
    apply_token_rules,
    suppressed_tokens,
)
from nightscribe.whisper.engines import load_model

TOKENIZERS = {True: get_tokenizer(True, num_languages=99), False: get_tokenizer(False)}
SUPPRESSED = (1, 2, 7, 220, 50_000, 50_359, 50_361)


@st.composite
def texts(draw: st.DrawFn) -> list[list[int]]:
    """Rows of equal length, of words and of timestamps that do not go back."""
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
def test_rules_leave_what_whispers_filters_leave(
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
    sampled = len(rows[0])
    minus_infinity = torch.zeros(1, size)
    minus_infinity[0, [*suppressed, tokenizer.no_timestamps]] = -torch.inf
    stamps = [[token - zero for token in row if token >= zero][-1:] for row in rows]
    ours = apply_token_rules(
        logits,
        RowTexts(
            sampled=torch.full((len(rows),), sampled),
            last=tokens[:, -1],
            before_last=tokens[:, -2] if tokens.shape[1] > 1 else tokens[:, -1],
            last_timestamp=torch.tensor([stamp[0] if stamp else -1 for stamp in stamps]),
            max_first_timestamp=torch.full((len(rows),), 1500 if latest is None else latest),
            with_timestamps=torch.full((len(rows),), timed),
            blank_allowed=torch.zeros(len(rows), dtype=torch.bool),
            suppressed=minus_infinity,
        ),
        SpecialTokens.of(tokenizer),
    )
    assert torch.equal(ours, expected)


@pytest.mark.parametrize("multilingual", [True, False])
def test_rows_with_and_without_timestamps_share_a_batch(multilingual: bool) -> None:
    tokenizer = TOKENIZERS[multilingual]
    size = tokenizer.timestamp_begin + 1501
    logits = torch.randn(2, size, generator=torch.Generator().manual_seed(0))
    texts = RowTexts(
        sampled=torch.tensor([0, 0]),
        last=torch.tensor([tokenizer.sot] * 2),
        before_last=torch.tensor([tokenizer.sot] * 2),
        last_timestamp=torch.tensor([-1, -1]),
        max_first_timestamp=torch.tensor([50, 50]),
        with_timestamps=torch.tensor([True, False]),
        blank_allowed=torch.tensor([False, True]),
        suppressed=torch.zeros(1, size),
    )
    left = apply_token_rules(logits.clone(), texts, SpecialTokens.of(tokenizer)).isfinite()
    assert left[0].nonzero()[:, 0].tolist() == list(
        range(tokenizer.timestamp_begin, tokenizer.timestamp_begin + 51)
    )
    assert left[1].all()


@pytest.mark.parametrize("given", ["", "-1", "-1,13,11", "0,5", "-2"])
@pytest.mark.parametrize("untimed", [False, True])
def test_suppressed_tokens_are_those_of_the_reference(given: str, untimed: bool) -> None:
    network = load_model("demo", "cpu").network
    options = whisper.DecodingOptions(
        language="en", suppress_tokens=given, without_timestamps=untimed, suppress_blank=False
    )
    task = whisper.decoding.DecodingTask(network, options)
    logits = torch.zeros(1, 51865)
    stamp = task.tokenizer.timestamp_begin
    # After a timestamp and words, every token may come that the list does not name, except earlier
    # timestamps.
    sampled = torch.tensor([[*task.initial_tokens, stamp, 440, 441]])
    for rule in task.logit_filters:
        if not isinstance(rule, whisper.decoding.ApplyTimestampRules):
            rule.apply(logits, sampled)
    expected = set(torch.nonzero(logits[0] == -torch.inf)[:, 0].tolist())
    if not untimed:  # in the reference, the rule for timestamps forbids it
        expected.add(task.tokenizer.no_timestamps)
    ours = suppressed_tokens(task.tokenizer, given, timed=not untimed)
    assert {token % 51865 for token in ours} == expected
