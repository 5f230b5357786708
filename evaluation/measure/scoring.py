"""A table of pairs in, a table of scores out.

Scores are computed separately for each data set, spoken language, task, model and set of options.

Which texts are compared:

- `transcribe`: both texts after Whisper's normalizer for the language. Words give WER, MER, WIL
  and bursts; characters give CER. For a language written without spaces the normalizer puts a
  space between all letters: its WER, MER and WIL count letters, as in Whisper's paper, and its CER
  equals its WER.
- `translate`: both texts as they are, for BLEU and chrF++ on English. There is no error rate: two
  good translations have the same meaning and different words.

Where nobody speaks (the language is `zxx`) there is nothing to compare: whatever was written is
invented, see `hallucinations`.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa

from evaluation.measure.averages import Counted, averages
from evaluation.measure.beside import beside, beside_counts
from evaluation.measure.bootstrap import Measure, measured
from evaluation.measure.counts import Counts, errors, reference_units
from evaluation.measure.detection import confusion, is_identified
from evaluation.measure.hallucinations import (
    is_without_speech,
    most_invented,
    per_hour_of,
    word_counts_and_times,
    words_of,
)
from evaluation.measure.metrics import headline_error_rate
from evaluation.measure.normalize import is_unspaced
from evaluation.measure.rates import ErrorMeasures, error_measures
from evaluation.measure.sampling import Sampling, sampling_of
from evaluation.measure.shares import accuracy, share
from evaluation.measure.signatures import (
    BOOTSTRAP,
    HALLUCINATED,
    OVER_SILENCE,
    burst_signature,
    error_signature,
)
from evaluation.measure.tables import SCORES, UTTERANCES
from evaluation.measure.transcripts import burst_length, character_unit, transcript_counts
from evaluation.measure.translation import translation_measures
from evaluation.measure.worst import RecordingErrors, worst_transcripts, worst_translations
from evaluation.pairs.left_out import NotScored, not_scored
from evaluation.pairs.table import Group, Pair, group_of, pair_rows

__all__ = ["SCORES", "UTTERANCES", "Evaluation", "evaluate", "score"]

_SHARED = ("dataset", "language", "variety", "model_id", "model", "task", "options_key")

Row = dict[str, Any]


@dataclass(frozen=True)
class _Measured:
    """What was measured of a group.

    Attributes:
        rows: of scores
        worst: the recordings that came out worst
        outcomes: the columns of `UTTERANCES` that were measured
        counted: metric → pairs, and what the metric counts in them
    """

    rows: list[Row]
    worst: list[RecordingErrors]
    outcomes: dict[str, Any]
    counted: dict[str, tuple[Sequence[Pair], Counts]]


@dataclass(frozen=True)
class Evaluation:
    """All that was measured on a table of pairs.

    Attributes:
        pairs: columns as in `PAIRS`
        scores: columns as in `SCORES`, ordered by group
        confusion: columns as in `detection.CONFUSION`
        worst: per group, the recordings that came out worst (see `worst`)
        utterances: columns as in `UTTERANCES`, ordered by group
        averages: columns as in `averages.AVERAGES`
        not_scored: groups of which a model has no pair
    """

    pairs: pa.Table
    scores: pa.Table
    confusion: pa.Table
    worst: list[list[RecordingErrors]]
    utterances: pa.Table
    averages: pa.Table
    not_scored: list[NotScored]


def evaluate(
    pairs: pa.Table, worst: int = 0, references: Mapping[Group, int] | None = None
) -> Evaluation:
    """Score every group of pairs.

    Args:
        pairs: columns as in `PAIRS`, one row per recording of a group
        worst: how many recordings to list per group
        references: number of references of each group; None: each has a pair

    Raises:
        ValueError: a column is missing, a required value is null, or a task is unknown
    """
    rows: list[Row] = []
    counted: list[Counted] = []
    found, each = [], [UTTERANCES.empty_table()]
    for group in _groups(pairs):
        found_in_group = _measure_of(group)(group, worst)
        count = (references or {}).get(group_of(group[0]), len(group))
        shared = {
            **{name: group[0].get(name) for name in _SHARED},
            "split": _split(group),
            "of_references": count,
        }
        rows += [shared | row for row in found_in_group.rows]
        counted += [
            Counted(metric, *pairs_and_counts, count)
            for metric, pairs_and_counts in found_in_group.counted.items()
        ]
        found.append(found_in_group.worst)
        each.append(_utterances(group, found_in_group.outcomes))
    return Evaluation(
        pairs=pairs,
        scores=pa.Table.from_pylist(rows, schema=SCORES),
        confusion=confusion(pairs),
        worst=found,
        utterances=pa.concat_tables(each),
        averages=averages(counted),
        not_scored=not_scored(pairs, references or {}),
    )


def _split(group: Sequence[Pair]) -> str | None:
    """The split of all pairs; None if they state none or several."""
    splits = {pair.get("split") for pair in group}
    return splits.pop() if len(splits) == 1 else None


def score(pairs: pa.Table) -> pa.Table:
    """The scores alone, see `Evaluation`."""
    return evaluate(pairs).scores


def _groups(pairs: pa.Table) -> Iterator[list[Pair]]:
    groups: dict[tuple[str, ...], list[Pair]] = defaultdict(list)
    for pair in pair_rows(pairs):
        groups[*group_of(pair), pair["model_id"], pair["options_key"]].append(pair)
    for _, group in sorted(groups.items()):
        # The order of the rows must not change which ones a resample draws.
        yield sorted(group, key=lambda pair: str(pair["recording_id"]))


def _utterances(group: Sequence[Pair], outcomes: Mapping[str, Sequence[Any]]) -> pa.Table:
    """The outcome of each pair of a group: columns of `UTTERANCES` that only some groups have."""
    shared = {name: [group[0].get(name)] * len(group) for name in _SHARED}
    ids = {name: [pair.get(name) for pair in group] for name in ("recording_id", "transcript_id")}
    nothing = dict.fromkeys(("errors", "units", "chrf"), [None] * len(group))
    return pa.Table.from_pydict({**nothing, **shared, **ids, **outcomes}, schema=UTTERANCES)


def _measure_of(group: Sequence[Pair]) -> Callable[[Sequence[Pair], int], _Measured]:
    if is_without_speech(group[0]["language"]):
        return _without_speech
    return _transcripts if group[0]["task"] == "transcribe" else _translations


def _without_speech(group: Sequence[Pair], worst: int) -> _Measured:
    words, sampling = words_of(group), sampling_of(group)
    rate = accuracy([bool(count) for count in words], sampling.units)
    rows = [
        _row("hallucination_rate", rate, len(group), sampling, HALLUCINATED) | {"headline": True}
    ]
    timed = [pair for pair in group if pair.get("duration_s")]
    if timed:
        sampling = sampling_of(timed)
        counts = word_counts_and_times(timed, timed)
        [per_hour] = measured(counts, per_hour_of, units=sampling.units)
        rows.append(
            _row("hallucinated_words_per_hour", per_hour, len(timed), sampling, HALLUCINATED)
        )
    outcomes = {
        "metric": ["hallucinated_words_per_hour"] * len(group),
        "errors": words,
        "units": [0] * len(group),
    }
    return _Measured(rows, most_invented(group, words, worst), outcomes, counted={})


def _transcripts(group: Sequence[Pair], worst: int) -> _Measured:
    words, characters = transcript_counts(group)
    sampling = sampling_of(group)
    rows = _error_rows(group[0]["language"], words, characters, sampling)
    rows += _rows_beside(group, sampling)
    headline = headline_error_rate(group[0]["language"])
    counted: dict[str, tuple[Sequence[Pair], Counts]] = {}
    if any(row["headline"] for row in rows):
        counted[headline] = group, words
    detected = [pair for pair in group if pair["detected_language"] is not None]
    if detected:
        sampling = sampling_of(detected)
        right = [is_identified(pair) for pair in detected]
        identified = accuracy(right, sampling.units)
        counted["lid_accuracy"] = detected, np.array([(one, 1) for one in right], np.int64)
        rows.append(_row("lid_accuracy", identified, len(detected), sampling, BOOTSTRAP))
    lettered = [pair for pair in group if pair.get("letters")]
    if lettered:
        sampling = sampling_of(lettered)
        letters = [(pair["letters_over_silence"], pair["letters"]) for pair in lettered]
        over_silence = share(letters, sampling.units)
        rows.append(_row("text_over_silence", over_silence, len(lettered), sampling, OVER_SILENCE))
    outcomes = {
        "metric": [headline] * len(group),
        "errors": errors(words),
        "units": reference_units(words),
    }
    return _Measured(rows, worst_transcripts(group, words, worst), outcomes, counted)


def _error_rows(language: str, words: Counts, characters: Counts, sampling: Sampling) -> list[Row]:
    by_word, by_character = (error_measures(each, sampling.units) for each in (words, characters))
    word = "letter" if is_unspaced(language) else "word"
    in_words = error_signature(language, word)
    in_characters = error_signature(language, character_unit(language))
    in_bursts = burst_signature(language, word, burst_length(language))
    rows = []
    for metric, measures, value, signature in (
        ("wer", by_word, by_word.error_rate, in_words),
        ("cer", by_character, by_character.error_rate, in_characters),
        ("mer", by_word, by_word.match_error_rate, in_words),
        ("wil", by_word, by_word.information_lost, in_words),
        ("insertion_bursts", by_word, by_word.insertion_bursts, in_bursts),
        ("deletion_bursts", by_word, by_word.deletion_bursts, in_bursts),
    ):
        is_headline = metric == headline_error_rate(language) and measures.reference_units > 0
        row = _row(metric, value, measures.utterances, sampling, signature)
        rows.append(row | _counted(measures) | {"headline": is_headline})
    return rows


def _rows_beside(group: Sequence[Pair], sampling: Sampling) -> list[Row]:
    """The figures that stand beside the headline, after other normalizers."""
    rows = []
    for figure in beside(group[0]["language"]):
        measures = error_measures(beside_counts(figure, group), sampling.units)
        signature = error_signature(group[0]["language"], figure.unit, figure.normalizer)
        row = _row(figure.metric, measures.error_rate, measures.utterances, sampling, signature)
        rows.append(row | _counted(measures))
    return rows


def _counted(measures: ErrorMeasures) -> Row:
    names = ("reference_units", "substitutions", "deletions", "insertions")
    return {name: getattr(measures, name) for name in names}


def _translations(group: Sequence[Pair], worst: int) -> _Measured:
    sampling = sampling_of(group)
    measures = translation_measures(
        [pair["reference"] for pair in group],
        [pair["hypothesis"] for pair in group],
        sampling.units,
    )
    bleu = _row("bleu", measures.bleu, len(group), sampling, measures.bleu_signature)
    chrf = _row("chrf", measures.chrf, len(group), sampling, measures.chrf_signature)
    rows = [bleu | {"headline": True}, chrf]
    outcomes = {"metric": ["chrf"] * len(group), "chrf": measures.each_chrf}
    counted = {"bleu": (group, measures.bleu_counts), "chrf": (group, measures.chrf_counts)}
    listed = worst_translations(group, measures.each_chrf, worst)
    return _Measured(rows, listed, outcomes, counted)


def _row(metric: str, measure: Measure, utterances: int, sampling: Sampling, signature: str) -> Row:
    return {
        "metric": metric,
        "value": measure.value,
        "ci_low": measure.ci_low,
        "ci_high": measure.ci_high,
        "headline": False,
        "utterances": utterances,
        **sampling.columns,
        "signature": signature,
    }
