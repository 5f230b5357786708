"""BLEU and chrF++ of translations, by sacrebleu."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sacrebleu.metrics import BLEU, CHRF

from evaluation.measure.bootstrap import Floats, Measure, Rate, Units, measured
from evaluation.measure.counts import check_lengths

__all__ = [
    "TranslationMeasures",
    "bleu_metric",
    "chrf_metric",
    "sacrebleu_counts",
    "sacrebleu_rate",
    "translation_measures",
]


@dataclass(frozen=True)
class TranslationMeasures:
    """BLEU and chrF++ of a corpus, both 0 to 100, with sacrebleu's own signatures.

    `each_chrf` is the chrF++ of each single utterance. (BLEU means little for one sentence.)
    `bleu_counts` and `chrf_counts` are what sacrebleu counts in each, see `sacrebleu_counts`.
    """

    bleu: Measure
    chrf: Measure
    each_chrf: Floats
    bleu_signature: str
    chrf_signature: str
    bleu_counts: NDArray[np.int64]
    chrf_counts: NDArray[np.int64]


def translation_measures(
    references: Sequence[str], hypotheses: Sequence[str], units: Units | None = None
) -> TranslationMeasures:
    """BLEU and chrF++ from plain text, with case and punctuation.

    sacrebleu tokenizes by itself (13a), and its scores compare with published ones only on text
    that was not normalised before (Post, "A Call for Clarity in Reporting BLEU Scores", WMT 2018).

    Args:
        units: what is drawn for the intervals; None: each utterance

    Raises:
        ValueError: the lists differ in length, or are empty
    """
    check_lengths(references, hypotheses)
    bleu, chrf = bleu_metric(), chrf_metric()
    bleu_counts = sacrebleu_counts(bleu, references, hypotheses)
    chrf_counts = sacrebleu_counts(chrf, references, hypotheses)
    [bleu_measure] = measured(bleu_counts, sacrebleu_rate(bleu), units=units)
    [chrf_measure] = measured(chrf_counts, sacrebleu_rate(chrf), units=units)
    return TranslationMeasures(
        bleu=bleu_measure,
        chrf=chrf_measure,
        each_chrf=sacrebleu_rate(chrf)(chrf_counts),
        bleu_signature=str(bleu.get_signature()),
        chrf_signature=str(chrf.get_signature()),
        bleu_counts=bleu_counts,
        chrf_counts=chrf_counts,
    )


def bleu_metric() -> BLEU:
    """BLEU with sacrebleu's defaults."""
    return BLEU(force=True)  # `force` only silences a warning about spaces before full stops


def chrf_metric() -> CHRF:
    """chrF++: n-grams of up to six letters and up to two words.

    Popović, "chrF++: words helping character n-grams", WMT 2017.
    """
    return CHRF(word_order=2)


def sacrebleu_counts(
    metric: Any, references: Sequence[str], hypotheses: Sequence[str]
) -> NDArray[np.int64]:
    """What a sacrebleu metric counts in each sentence, shape (utterances, columns).

    sacrebleu's public bootstrap gives only a half-width around the mean of the resamples. The
    counts that it sums for that give intervals and paired tests of any kind.
    """
    counts = metric._extract_corpus_statistics(list(hypotheses), [list(references)])
    return np.array(counts, dtype=np.int64)


def sacrebleu_rate(metric: Any) -> Rate:
    """The metric, 0 to 100, as a function of summed counts, shape (…, columns) → (…)."""

    def score(totals: NDArray[Any]) -> float:
        return float(metric._compute_score_from_stats([int(count) for count in totals]).score)

    return lambda totals: np.apply_along_axis(score, -1, totals)
