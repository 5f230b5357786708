"""Point values are jiwer's and sacrebleu's own; intervals are what resampling gives."""

from __future__ import annotations

import time

import jiwer
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sacrebleu.metrics import BLEU, CHRF

from evaluation.metrics import (
    COLUMNS,
    accuracy,
    character_counts,
    error_measures,
    error_rate,
    information_lost,
    match_error_rate,
    resampled_totals,
    translation_measures,
    word_counts,
)

# Few words, so that texts share some; several scripts; marks, spaces and emoji around them.
_SPOKEN = "a the night Nacht naïve ночь 夜 今夜 ليل रात คืน 밤 1,000 don't x. … 👩‍👩‍👧"
_WORDS = st.sampled_from([*_SPOKEN.split(), "\u00a0", "", " "])
_TEXT = st.one_of(st.lists(_WORDS, max_size=8).map(" ".join), st.text(max_size=12), st.just(""))
_PAIRS = st.lists(st.tuples(_TEXT, _TEXT), min_size=1, max_size=6)


def _split(pairs: list[tuple[str, str]]) -> tuple[list[str], list[str]]:
    return [reference for reference, _ in pairs], [hypothesis for _, hypothesis in pairs]


@settings(deadline=None, max_examples=300)
@given(_PAIRS)
def test_word_error_rates_are_those_of_jiwer(pairs: list[tuple[str, str]]) -> None:
    references, hypotheses = _split(pairs)
    expected = jiwer.process_words(references, hypotheses)
    measures = error_measures(word_counts(references, hypotheses))
    assert measures.error_rate.value == pytest.approx(expected.wer, abs=1e-12)
    assert measures.match_error_rate.value == pytest.approx(expected.mer, abs=1e-12)
    assert measures.information_lost.value == pytest.approx(expected.wil, abs=1e-12)
    assert (measures.substitutions, measures.deletions, measures.insertions) == (
        expected.substitutions,
        expected.deletions,
        expected.insertions,
    )
    assert measures.reference_units == sum(len(words) for words in expected.references)


@settings(deadline=None, max_examples=300)
@given(_PAIRS)
def test_character_error_rate_is_that_of_jiwer(pairs: list[tuple[str, str]]) -> None:
    references, hypotheses = _split(pairs)
    expected = jiwer.process_characters(references, hypotheses)
    measures = error_measures(character_counts(references, hypotheses))
    assert measures.error_rate.value == pytest.approx(expected.cer, abs=1e-12)
    assert measures.reference_units == sum(len(text) for text in expected.references)


@settings(deadline=None, max_examples=100)
@given(_PAIRS)
def test_bleu_and_chrf_are_those_of_sacrebleu(pairs: list[tuple[str, str]]) -> None:
    references, hypotheses = _split(pairs)
    bleu, chrf = BLEU(), CHRF(word_order=2)
    measures = translation_measures(references, hypotheses)
    assert measures.bleu.value == bleu.corpus_score(hypotheses, [references]).score
    assert measures.chrf.value == chrf.corpus_score(hypotheses, [references]).score
    assert measures.bleu_signature == str(bleu.get_signature())
    assert measures.chrf_signature == str(chrf.get_signature())
    assert measures.each_chrf.tolist() == [
        CHRF(word_order=2).sentence_score(hypothesis, [reference]).score
        for reference, hypothesis in pairs
    ]


def test_empty_references_count_their_words_as_insertions() -> None:
    measures = error_measures(word_counts(["one two", ""], ["one two", "thanks for watching"]))
    assert measures.error_rate.value == 3 / 2
    assert measures.insertions == 3
    assert measures.reference_units == 2


def test_long_runs_of_insertions_and_deletions_are_bursts() -> None:
    said = "the night boat comes home before the rain"
    made_up = "thanks for watching please subscribe"
    measures = error_measures(
        word_counts(
            [said, said, said, said],
            [
                f"{said} {made_up}",
                "the night boat",
                f"{said} one two three four",
                "the night boat x",
            ],
        )
    )
    # Five words of 13 + 3 + 12 + 4 were made up; four in a row are no burst.
    assert measures.insertion_bursts.value == 5 / 32
    # Five of 32 are missing in the second; of the fourth, one is replaced and four are missing.
    assert measures.deletion_bursts.value == 5 / 32
    assert measures.insertions == 9
    assert measures.deletions == 9


def test_without_any_reference_word_the_value_is_jiwers_and_the_units_say_so() -> None:
    measures = error_measures(word_counts(["", ""], ["thanks", "for watching"]))
    assert measures.reference_units == 0
    assert measures.error_rate.value == jiwer.wer(["", ""], ["thanks", "for watching"]) == 3
    assert measures.match_error_rate.value == 1


@pytest.mark.parametrize("measure", [word_counts, character_counts, translation_measures])
def test_lists_of_different_length_are_refused(measure: object) -> None:
    with pytest.raises(ValueError, match="2 references and 1 hypotheses"):
        measure(["a", "b"], ["a"])  # type: ignore[operator]
    with pytest.raises(ValueError, match="nothing to measure"):
        measure([], [])  # type: ignore[operator]


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


def _noisy_corpus(utterances: int) -> tuple[list[str], list[str]]:
    """Sentences of different lengths, of which each has a share of its words wrong."""
    generator = np.random.default_rng(5)
    vocabulary = np.array([f"word{i}" for i in range(300)])
    references, hypotheses = [], []
    for _ in range(utterances):
        words = generator.choice(vocabulary, size=generator.integers(4, 30))
        wrong = generator.random(len(words)) < generator.beta(1, 4)
        references.append(" ".join(words))
        hypotheses.append(" ".join(np.where(wrong, generator.choice(vocabulary), words)))
    return references, hypotheses


def test_intervals_are_the_percentiles_of_a_plain_bootstrap() -> None:
    counts = word_counts(*_noisy_corpus(200))
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


def test_bleu_and_chrf_intervals_are_near_sacrebleus_own() -> None:
    references, hypotheses = _noisy_corpus(200)
    measures = translation_measures(references, hypotheses)
    for measure, metric in ((measures.bleu, BLEU()), (measures.chrf, CHRF(word_order=2))):
        theirs = metric.corpus_score(hypotheses, [references], n_bootstrap=1000)
        assert measure.ci_low is not None
        assert measure.ci_high is not None
        assert measure.ci_low < measure.value < measure.ci_high
        assert (measure.ci_high - measure.ci_low) / 2 == pytest.approx(theirs._ci, rel=0.1)


def test_intervals_cover_the_true_error_rate_about_95_times_in_100() -> None:
    generator = np.random.default_rng(11)
    covered = 0
    for _ in range(200):
        # Utterances of 5 to 24 words; each has its own chance of an error, 10 % on average.
        words = generator.integers(5, 25, size=150)
        errors = generator.binomial(words, generator.beta(1, 9, size=150))
        counts = np.zeros((150, COLUMNS), dtype=np.int64)
        counts[:, 0], counts[:, 1] = words - errors, errors
        measure = error_measures(counts).error_rate
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


def test_accuracy_is_the_share_of_right_ones() -> None:
    measure = accuracy([True, True, False, True])
    assert measure.value == 0.75
    assert measure.ci_low is not None
    assert measure.ci_high is not None
    assert 0 <= measure.ci_low <= 0.75 <= measure.ci_high <= 1
    with pytest.raises(ValueError, match="at least one"):
        accuracy([])


def test_intervals_of_10_000_utterances_take_seconds() -> None:
    counts = np.random.default_rng(0).integers(0, 20, size=(10_000, COLUMNS))
    start = time.perf_counter()
    error_measures(counts)
    assert time.perf_counter() - start < 5
