"""Counts and rates are jiwer's own."""

from __future__ import annotations

import jiwer
import pytest
from hypothesis import given, settings

from evaluation.measure.counts import character_counts, word_counts
from evaluation.measure.rates import error_measures
from evaluation.measure.translation import translation_measures
from tests.evaluation.texts import TEXT_PAIRS, split


@settings(deadline=None, max_examples=300)
@given(TEXT_PAIRS)
def test_word_error_rates_are_those_of_jiwer(pairs: list[tuple[str, str]]) -> None:
    references, hypotheses = split(pairs)
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
@given(TEXT_PAIRS)
def test_character_error_rate_is_that_of_jiwer(pairs: list[tuple[str, str]]) -> None:
    references, hypotheses = split(pairs)
    expected = jiwer.process_characters(references, hypotheses)
    measures = error_measures(character_counts(references, hypotheses))
    assert measures.error_rate.value == pytest.approx(expected.cer, abs=1e-12)
    assert measures.reference_units == sum(len(text) for text in expected.references)


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
