"""BLEU and chrF++ are sacrebleu's own."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from sacrebleu.metrics import BLEU, CHRF

from evaluation.measure.translation import translation_measures
from tests.evaluation.simulated import noisy_corpus
from tests.evaluation.texts import TEXT_PAIRS, split


@settings(deadline=None, max_examples=100)
@given(TEXT_PAIRS)
def test_bleu_and_chrf_are_those_of_sacrebleu(pairs: list[tuple[str, str]]) -> None:
    references, hypotheses = split(pairs)
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


def test_bleu_and_chrf_intervals_are_near_sacrebleus_own() -> None:
    references, hypotheses = noisy_corpus(200)
    measures = translation_measures(references, hypotheses)
    for measure, metric in ((measures.bleu, BLEU()), (measures.chrf, CHRF(word_order=2))):
        theirs = metric.corpus_score(hypotheses, [references], n_bootstrap=1000)
        assert measure.ci_low is not None
        assert measure.ci_high is not None
        assert measure.ci_low < measure.value < measure.ci_high
        assert (measure.ci_high - measure.ci_low) / 2 == pytest.approx(theirs._ci, rel=0.1)
