"""Intervals are what drawing utterances gives, and they hold what they promise."""

from __future__ import annotations

import time

import numpy as np
import pytest

from evaluation.measure.bootstrap import resampled_totals
from evaluation.measure.counts import COLUMNS, word_counts
from evaluation.measure.rates import (
    error_measures,
    error_rate,
    information_lost,
    match_error_rate,
)
from tests.evaluation.simulated import noisy_corpus, substitutions


def test_resampling_draws_as_many_utterances_as_there_are() -> None:
    totals = resampled_totals(np.ones((37, 2), dtype=np.int64))
    assert totals is not None
    assert totals.shape == (1000, 2)
    assert (totals == 37).all()


def test_resampling_large_corpora_in_parts_draws_like_small_ones() -> None:
    # 5,000 utterances do not fit into one part: the parts must neither repeat nor drop rows.
    values = np.arange(5_000, dtype=np.int64)[:, None]
    totals = resampled_totals(values)
    assert totals is not None
    assert len(np.unique(totals)) > 990
    assert totals.mean() == pytest.approx(values.sum(), rel=1e-3)
    assert totals.std() == pytest.approx(values.std() * np.sqrt(5_000), rel=0.1)


def test_intervals_are_the_percentiles_of_a_plain_bootstrap() -> None:
    counts = word_counts(*noisy_corpus(200))
    drawn = counts[np.random.default_rng(7).integers(0, 200, size=(4000, 200))].sum(axis=1)
    measures = error_measures(counts)
    for measure, rate in (
        (measures.error_rate, error_rate),
        (measures.match_error_rate, match_error_rate),
        (measures.information_lost, information_lost),
    ):
        low, high = np.percentile(rate(drawn), [2.5, 97.5])
        assert measure.ci_low == pytest.approx(low, abs=0.1 * (high - low))
        assert measure.ci_high == pytest.approx(high, abs=0.1 * (high - low))


def test_intervals_cover_the_true_error_rate_about_95_times_in_100() -> None:
    generator = np.random.default_rng(11)
    covered = 0
    for _ in range(200):
        # Utterances of 5 to 24 words; each has its own chance of an error, 10 % on average.
        words = generator.integers(5, 25, size=150)
        errors = generator.binomial(words, generator.beta(1, 9, size=150))
        measure = error_measures(substitutions(words, errors)).error_rate
        assert measure.ci_low is not None
        assert measure.ci_high is not None
        covered += measure.ci_low <= 0.1 <= measure.ci_high
    assert 180 <= covered <= 198


def test_the_same_input_gives_the_same_interval() -> None:
    counts = word_counts(["a b c", "d e", "f"], ["a b", "d x", "f g"])
    assert error_measures(counts) == error_measures(counts)


def test_one_utterance_has_no_interval() -> None:
    measure = error_measures(word_counts(["a b"], ["a c"])).error_rate
    assert (measure.value, measure.ci_low, measure.ci_high) == (0.5, None, None)


def test_intervals_of_10_000_utterances_take_seconds() -> None:
    counts = np.random.default_rng(0).integers(0, 20, size=(10_000, COLUMNS))
    start = time.perf_counter()
    error_measures(counts)
    assert time.perf_counter() - start < 5
