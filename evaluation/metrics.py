"""Error rates, BLEU, chrF++ and accuracy, each with its 95 % bootstrap interval.

Counting is left to jiwer (word and character alignments) and sacrebleu (n-gram matches).
Every metric here is a function of counts summed over utterances (a micro-average), so an
interval costs no second look at any text: utterances are drawn with replacement, their
counts are summed, and the metric is computed from the sums.

Empty texts follow jiwer 4. An utterance with an empty reference adds its words to the
insertions and nothing to the reference length; one with an empty hypothesis adds
deletions. Where *all* references are empty a rate has no denominator: jiwer then gives
the number of insertions, as if there were one reference word, and so do we. Whoever
quotes the value should look at `reference_units` first.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import jiwer
import numpy as np
from numpy.typing import NDArray
from sacrebleu.metrics import BLEU, CHRF

RESAMPLES = 1000
SEED = 0
CONFIDENCE = 0.95

BURST_WORDS, BURST_LETTERS = 5, 10
"""Words, or letters of unspaced languages, in a row, all inserted or all deleted, from which on
they are no slips: something was made up where nothing was said, or a stretch of speech was passed
over. What was made up *in place* of speech counts as substitutions: these are lower bounds."""

DRAWS_AT_ONCE = 2**21  # three arrays of 8 bytes each: 48 MiB, whatever the corpus

Floats = NDArray[np.float64]
Counts = NDArray[np.int64]
"""shape = (utterances, 6): hits, substitutions, deletions, insertions, and those of the insertions
and of the deletions that lie in bursts"""

COLUMNS = 6

_COLUMN_OF = {"equal": 0, "substitute": 1, "delete": 2, "insert": 3}
_BURST_COLUMN_OF = {"insert": 4, "delete": 5}


@dataclass(frozen=True)
class Measure:
    """A metric over a corpus, with the ends of its 95 % interval.

    The ends are None for fewer than two utterances: a resample would always be the same.
    """

    value: float
    ci_low: float | None
    ci_high: float | None


@dataclass(frozen=True)
class ErrorMeasures:
    """What the alignments of a corpus say, in words or in characters.

    Attributes:
        error_rate: (S + D + I) / (H + S + D); 1 is as many errors as reference units
        match_error_rate: (S + D + I) / (H + S + D + I), never above 1
        information_lost: 1 − H / reference units · H / hypothesis units
        insertion_bursts: share of the hypothesis' units in long runs of insertions, as of
            hallucinations over silence
        deletion_bursts: share of the reference's units in long runs of deletions, as where a
            segment is missing
        utterances: pairs that were aligned
        reference_units: H + S + D
        substitutions, deletions, insertions: S, D, I

    Match error rate and information lost are those of Morris, Maier and Green, "From WER and RIL
    to MER and WIL" (Interspeech 2004).
    """

    error_rate: Measure
    match_error_rate: Measure
    information_lost: Measure
    insertion_bursts: Measure
    deletion_bursts: Measure
    utterances: int
    reference_units: int
    substitutions: int
    deletions: int
    insertions: int


@dataclass(frozen=True)
class TranslationMeasures:
    """BLEU and chrF++ of a corpus, both 0 to 100, with sacrebleu's own signatures.

    `each_chrf` is the chrF++ of each utterance by itself. (BLEU means little on one sentence.)
    """

    bleu: Measure
    chrf: Measure
    each_chrf: Floats
    bleu_signature: str
    chrf_signature: str


def word_counts(
    references: Sequence[str], hypotheses: Sequence[str], *, burst: int = BURST_WORDS
) -> Counts:
    """Align words, which spaces separate, and count per utterance.

    Args:
        references: one text per utterance, normalised; may be empty strings
        hypotheses: as many texts, in the same order
        burst: words in a row that make a burst

    Returns:
        see `Counts`

    Raises:
        ValueError: the lists differ in length, or are empty
    """
    _check_lengths(references, hypotheses)
    return _counts(jiwer.process_words(list(references), list(hypotheses)).alignments, burst)


def character_counts(references: Sequence[str], hypotheses: Sequence[str]) -> Counts:
    """Align characters and count per utterance. A space between words is a character.

    Arguments, result and errors as for `word_counts`.
    """
    _check_lengths(references, hypotheses)
    aligned = jiwer.process_characters(list(references), list(hypotheses))
    return _counts(aligned.alignments, BURST_LETTERS)


def _check_lengths(references: Sequence[str], hypotheses: Sequence[str]) -> None:
    if len(references) != len(hypotheses):
        raise ValueError(
            f"every reference needs its hypothesis: got {len(references)} references and "
            f"{len(hypotheses)} hypotheses"
        )
    if not references:
        raise ValueError("there is nothing to measure: got no references and no hypotheses")


def _counts(alignments: list[list[Any]], burst: int) -> Counts:
    counts = np.zeros((len(alignments), COLUMNS), dtype=np.int64)
    for row, chunks in zip(counts, alignments, strict=True):
        for chunk in chunks:
            # An insertion has no length in the reference; all others do.
            length = (
                chunk.hyp_end_idx - chunk.hyp_start_idx
                if chunk.type == "insert"
                else chunk.ref_end_idx - chunk.ref_start_idx
            )
            row[_COLUMN_OF[chunk.type]] += length
            if length >= burst and chunk.type in _BURST_COLUMN_OF:
                row[_BURST_COLUMN_OF[chunk.type]] += length
    return counts


def error_rate(totals: NDArray[Any]) -> Floats:
    """(S + D + I) / (H + S + D) of summed counts, shape (…, 6) → (…)."""
    return np.asarray(errors(totals) / np.maximum(totals[..., :3].sum(axis=-1), 1))


def errors(counts: NDArray[Any]) -> NDArray[Any]:
    """S + D + I of counts, shape (…, 6) → (…). Bursts are among them and not counted again."""
    found: NDArray[Any] = counts[..., 1:4].sum(axis=-1)
    return found


def match_error_rate(totals: NDArray[Any]) -> Floats:
    """(S + D + I) / (H + S + D + I) of summed counts, shape (…, 6) → (…)."""
    everything = totals[..., :4].sum(axis=-1)
    return np.asarray((everything - totals[..., 0]) / np.maximum(everything, 1))


def information_lost(totals: NDArray[Any]) -> Floats:
    """1 − H² / (reference units · hypothesis units), shape (…, 6) → (…).

    Nothing is lost where both are empty, everything where one of them is.
    """
    hits, substitutions, deletions, insertions = np.moveaxis(totals[..., :4], -1, 0)
    reference = hits + substitutions + deletions
    hypothesis = hits + substitutions + insertions
    kept = hits / np.maximum(reference, 1) * (hits / np.maximum(hypothesis, 1))
    return np.asarray(1 - np.where((reference == 0) & (hypothesis == 0), 1.0, kept))


def insertion_bursts(totals: NDArray[Any]) -> Floats:
    """Share of the hypothesis' units that lie in bursts of insertions, shape (…, 6) → (…)."""
    hypothesis = totals[..., 0] + totals[..., 1] + totals[..., 3]
    return np.asarray(totals[..., 4] / np.maximum(hypothesis, 1))


def deletion_bursts(totals: NDArray[Any]) -> Floats:
    """Share of the reference's units that lie in bursts of deletions, shape (…, 6) → (…)."""
    reference = totals[..., :3].sum(axis=-1)
    return np.asarray(totals[..., 5] / np.maximum(reference, 1))


def error_measures(counts: Counts) -> ErrorMeasures:
    """Rates of a corpus with their intervals, from `word_counts` or `character_counts`."""
    total = counts.sum(axis=0)
    resampled = resampled_totals(counts)

    def measure(rate: Callable[[NDArray[Any]], Floats]) -> Measure:
        return _measure(float(rate(total)), None if resampled is None else rate(resampled))

    return ErrorMeasures(
        error_rate=measure(error_rate),
        match_error_rate=measure(match_error_rate),
        information_lost=measure(information_lost),
        insertion_bursts=measure(insertion_bursts),
        deletion_bursts=measure(deletion_bursts),
        utterances=len(counts),
        reference_units=int(total[:3].sum()),
        substitutions=int(total[1]),
        deletions=int(total[2]),
        insertions=int(total[3]),
    )


def translation_measures(
    references: Sequence[str], hypotheses: Sequence[str]
) -> TranslationMeasures:
    """BLEU and chrF++ by sacrebleu, from plain text.

    The texts go in as they are, with case and punctuation: sacrebleu tokenizes by itself
    (13a), and its scores compare with published ones only on text that nobody has
    normalised before (Post, "A Call for Clarity in Reporting BLEU Scores", WMT 2018).

    Raises:
        ValueError: the lists differ in length, or are empty
    """
    _check_lengths(references, hypotheses)
    bleu, chrf = bleu_metric(), chrf_metric()
    chrf_counts = sacrebleu_counts(chrf, references, hypotheses)
    return TranslationMeasures(
        bleu=_sacrebleu_measure(bleu, sacrebleu_counts(bleu, references, hypotheses)),
        chrf=_sacrebleu_measure(chrf, chrf_counts),
        each_chrf=sacrebleu_rate(chrf)(chrf_counts),
        bleu_signature=str(bleu.get_signature()),
        chrf_signature=str(chrf.get_signature()),
    )


def bleu_metric() -> BLEU:
    """sacrebleu's, with its defaults."""
    return BLEU(force=True)  # which only silences a warning about spaces before full stops


def chrf_metric() -> CHRF:
    """chrF++: letters in runs of up to six, and words in runs of up to two.

    Popović, "chrF++: words helping character n-grams", WMT 2017.
    """
    return CHRF(word_order=2)


def _sacrebleu_measure(metric: Any, counts: NDArray[np.int64]) -> Measure:
    rate, resampled = sacrebleu_rate(metric), resampled_totals(counts)
    return _measure(float(rate(counts.sum(axis=0))), None if resampled is None else rate(resampled))


def sacrebleu_counts(
    metric: Any, references: Sequence[str], hypotheses: Sequence[str]
) -> NDArray[np.int64]:
    """What a sacrebleu metric counts in each sentence: shape (utterances, columns).

    sacrebleu's public bootstrap gives a half-width around the mean of the resamples only; the
    counts that it sums for that give intervals and paired tests of any kind.
    """
    counts = metric._extract_corpus_statistics(list(hypotheses), [list(references)])
    return np.array(counts, dtype=np.int64)


def sacrebleu_rate(metric: Any) -> Callable[[NDArray[Any]], Floats]:
    """The metric, 0 to 100, of summed counts: shape (…, columns) → (…)."""

    def score(totals: NDArray[Any]) -> float:
        return float(metric._compute_score_from_stats([int(count) for count in totals]).score)

    return lambda totals: np.apply_along_axis(score, -1, totals)


def accuracy(correct: Sequence[bool]) -> Measure:
    """Share of the utterances that are right.

    Raises:
        ValueError: there are none
    """
    if not correct:
        raise ValueError("an accuracy needs at least one utterance: got none")
    return share([(int(right), 1) for right in correct])


def share(parts: Sequence[tuple[int, int]]) -> Measure:
    """Part and whole of each utterance, summed before they are divided; 0 of nothing is 0."""
    statistics = np.array(parts, dtype=np.int64)
    resampled = resampled_totals(statistics)

    def rate(totals: NDArray[Any]) -> Floats:
        return np.asarray(totals[..., 0] / np.maximum(totals[..., 1], 1))

    value = float(rate(statistics.sum(axis=0)))
    return _measure(value, None if resampled is None else rate(resampled))


def resampled_totals(statistics: NDArray[np.int64]) -> Floats | None:
    """Counts summed over utterances drawn with replacement, as many as there are.

    Args:
        statistics: shape (utterances, columns), counts of each utterance

    Returns:
        shape (1000, columns), whole numbers; None for fewer than two utterances. The same
        input gives the same output, and so do columns of equal length: resample i draws
        the same utterances for every metric.
    """
    utterances, columns = statistics.shape
    if utterances < 2:
        return None
    generator = np.random.default_rng(SEED)
    values = statistics.astype(np.float64)
    totals = np.empty((RESAMPLES, columns))
    at_once = max(1, DRAWS_AT_ONCE // utterances)
    for first in range(0, RESAMPLES, at_once):
        rows = min(at_once, RESAMPLES - first)
        drawn = generator.integers(0, utterances, size=(rows, utterances))
        drawn += np.arange(rows)[:, None] * utterances
        times = np.bincount(drawn.ravel(), minlength=rows * utterances)
        # How often each utterance was drawn, times its counts: one matrix product, and
        # exact, since float64 holds every whole number below 2^53.
        totals[first : first + rows] = times.reshape(rows, utterances).astype(np.float64) @ values
    return totals


def _measure(value: float, resampled: Floats | None) -> Measure:
    if resampled is None:
        return Measure(value, None, None)
    return Measure(value, *percentiles(resampled))


def percentiles(resampled: Floats) -> tuple[float, float]:
    """The ends of the middle 95 % of resampled values."""
    tail = 50 * (1 - CONFIDENCE)
    low, high = np.percentile(resampled, [tail, 100 - tail])
    return float(low), float(high)
