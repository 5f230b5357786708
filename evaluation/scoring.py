"""A table of pairs in, a table of scores out.

A pair is one recording with its reference and what one model, with one set of options,
made of it. Scores are computed for each data set, spoken language, task, model and
options by themselves.

Which texts are compared:

- `transcribe`: both texts after Whisper's normalizer for the language. Words give WER,
  MER, WIL and bursts; characters give CER. In a language written without spaces the normalizer
  has put a space between all letters: its WER, MER and WIL count letters, as in Whisper's
  paper, and its CER is the same number as its WER.
- `translate`: both texts as they are, for BLEU and chrF++ on English. No error rate: two
  good translations share their meaning and not their words.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib.metadata import version
from typing import Any

import numpy as np
import pyarrow as pa

from evaluation.metrics import (
    BURST_LETTERS,
    BURST_WORDS,
    CONFIDENCE,
    RESAMPLES,
    SEED,
    Counts,
    Measure,
    accuracy,
    character_counts,
    error_measures,
    errors,
    share,
    translation_measures,
    word_counts,
)
from evaluation.normalize import is_unspaced, language_code, normalize, normalizer_name

PAIRS = pa.schema(
    [
        pa.field("dataset", pa.string(), nullable=False),
        pa.field("language", pa.string(), nullable=False),
        pa.field("task", pa.string(), nullable=False),
        pa.field("model_id", pa.string(), nullable=False),
        pa.field("model", pa.string(), nullable=False),
        pa.field("options_key", pa.string(), nullable=False),
        pa.field("recording_id", pa.string(), nullable=False),
        pa.field("reference", pa.string(), nullable=False),
        pa.field("hypothesis", pa.string(), nullable=False),
        pa.field("detected_language", pa.string()),
    ]
)
"""Columns that `score` needs. `language` is the one spoken, from the reference; a null
`detected_language` says that the model was told the language. More are used where they are
there: `duration_s` (hours in the report), `source` (where to listen), `transcript_id` (where to
look), `letters` of the transcript and `letters_over_silence`, those in segments that the model took
for silence."""

SCORES = pa.schema(
    [
        pa.field("dataset", pa.string(), nullable=False),
        pa.field("language", pa.string(), nullable=False),
        pa.field("model_id", pa.string(), nullable=False),
        pa.field("model", pa.string(), nullable=False),
        pa.field("task", pa.string(), nullable=False),
        pa.field("options_key", pa.string(), nullable=False),
        pa.field("metric", pa.string(), nullable=False),
        pa.field("value", pa.float64(), nullable=False),
        pa.field("ci_low", pa.float64()),
        pa.field("ci_high", pa.float64()),
        pa.field("headline", pa.bool_(), nullable=False),
        pa.field("utterances", pa.int64(), nullable=False),
        pa.field("reference_units", pa.int64()),
        pa.field("substitutions", pa.int64()),
        pa.field("deletions", pa.int64()),
        pa.field("insertions", pa.int64()),
        pa.field("signature", pa.string(), nullable=False),
    ]
)
"""One row per metric. Rates are fractions, BLEU and chrF++ are 0 to 100, intervals are 95 %
and null for a single utterance. `headline` marks the one metric to quote: `wer`, or `cer`
for unspaced languages, or `bleu`; never an error rate without reference units."""

CONFUSION = pa.schema(
    [
        pa.field("dataset", pa.string(), nullable=False),
        pa.field("model_id", pa.string(), nullable=False),
        pa.field("options_key", pa.string(), nullable=False),
        pa.field("language", pa.string(), nullable=False),
        pa.field("detected_language", pa.string(), nullable=False),
        pa.field("utterances", pa.int64(), nullable=False),
    ]
)

TASKS = ("transcribe", "translate")

Pair = dict[str, Any]
_KEY = ("dataset", "language", "task", "model_id", "options_key")


@dataclass(frozen=True)
class RecordingErrors:
    """How one recording of a group came out.

    Attributes:
        pair: its row of the pairs
        errors, units: errors and reference length in words, or letters of unspaced
            languages; 0 for `translate`
        chrf: chrF++ of this recording by itself, for `translate`
    """

    pair: Pair
    errors: int = 0
    units: int = 0
    chrf: float | None = None


def place(pair: Mapping[str, Any]) -> str:
    """Where to listen: the source if the pairs have one, else the recording's id."""
    return str(pair.get("source") or pair["recording_id"])


@dataclass(frozen=True)
class Evaluation:
    """All that was found out about pairs.

    Attributes:
        pairs: columns as in `PAIRS`
        scores: columns as in `SCORES`, ordered by group and then as listed in the module
        confusion: columns as in `CONFUSION`, see `confusion`
        worst: per group the recordings to listen to first, worst first. For `transcribe` that is
            by errors beyond what the group's error rate predicts for a reference of that length:
            by errors alone the longest would lead, by rate the shortest. For `translate` it is by
            chrF++. Recordings without an error are never among them
    """

    pairs: pa.Table
    scores: pa.Table
    confusion: pa.Table
    worst: list[list[RecordingErrors]]


def evaluate(pairs: pa.Table, worst: int = 0) -> Evaluation:
    """Score every group of pairs, and find so many recordings of each that came out worst.

    Args:
        pairs: columns as in `PAIRS`, one row per recording of a group

    Raises:
        ValueError: a column is missing, a required value is null, or a task is unknown
    """
    rows: list[dict[str, Any]] = []
    found = []
    for group in _groups(pairs):
        measure = _transcripts if group[0]["task"] == "transcribe" else _translations
        scores, worst_of_group = measure(group, worst)
        shared = {
            name: group[0][name]
            for name in ("dataset", "language", "model_id", "model", "task", "options_key")
        }
        rows += [shared | row for row in scores]
        found.append(worst_of_group)
    return Evaluation(pairs, pa.Table.from_pylist(rows, schema=SCORES), confusion(pairs), found)


def score(pairs: pa.Table) -> pa.Table:
    """The scores alone, see `Evaluation`."""
    return evaluate(pairs).scores


def confusion(pairs: pa.Table) -> pa.Table:
    """Count detected languages per spoken language, over the recordings that had it detected.

    A recording that was both transcribed and translated counts once. Languages are
    Whisper's codes.

    Returns:
        columns as in `CONFUSION`; no rows where the language was always given
    """
    seen: dict[tuple[str, str, str, str], tuple[str, str]] = {}
    for pair in checked(pairs):
        if pair["detected_language"] is not None:
            recording = (
                pair["dataset"],
                pair["model_id"],
                pair["options_key"],
                pair["recording_id"],
            )
            seen[recording] = (
                language_code(pair["language"]),
                language_code(pair["detected_language"]),
            )
    counted = Counter((*recording[:3], *languages) for recording, languages in seen.items())
    rows = [
        dict(zip(CONFUSION.names, (*key, utterances), strict=True))
        for key, utterances in sorted(counted.items())
    ]
    return pa.Table.from_pylist(rows, schema=CONFUSION)


def checked(pairs: pa.Table) -> list[Pair]:
    """The rows of a table of pairs. Raises `ValueError` for one that is none."""
    missing = [name for name in PAIRS.names if name not in pairs.column_names]
    if missing:
        raise ValueError(
            f"the pairs lack the column{'s' if len(missing) > 1 else ''} {', '.join(missing)}: "
            f"got {', '.join(pairs.column_names) or 'none'}"
        )
    for field in PAIRS:
        nulls = 0 if field.nullable else pairs[field.name].null_count
        if nulls:
            raise ValueError(f"the pairs' column {field.name} has {nulls} nulls: fill or drop them")
    rows: list[Pair] = pairs.to_pylist()
    unknown = sorted({row["task"] for row in rows} - set(TASKS))
    if unknown:
        raise ValueError(f"unknown task {unknown[0]!r} in the pairs: expected {' or '.join(TASKS)}")
    return rows


def _groups(pairs: pa.Table) -> Iterator[list[Pair]]:
    groups: dict[tuple[str, ...], list[Pair]] = defaultdict(list)
    for pair in checked(pairs):
        groups[tuple(pair[name] for name in _KEY)].append(pair)
    for _, group in sorted(groups.items()):
        # The order of the rows must not change which ones a resample draws.
        yield sorted(group, key=lambda pair: str(pair["recording_id"]))


def _transcripts(
    group: Sequence[Pair], worst: int
) -> tuple[list[dict[str, Any]], list[RecordingErrors]]:
    language = group[0]["language"]
    words, characters = transcript_counts(group)
    by_word, by_character = error_measures(words), error_measures(characters)
    headline = "cer" if is_unspaced(language) else "wer"
    word = "letter" if is_unspaced(language) else "word"
    character = "letter" if is_unspaced(language) else "character"
    rows = []
    for metric, unit, measures, value in (
        ("wer", word, by_word, by_word.error_rate),
        ("cer", character, by_character, by_character.error_rate),
        ("mer", word, by_word, by_word.match_error_rate),
        ("wil", word, by_word, by_word.information_lost),
        ("insertion_bursts", word, by_word, by_word.insertion_bursts),
        ("deletion_bursts", word, by_word, by_word.deletion_bursts),
    ):
        signature = _error_signature(language, unit)
        if metric.endswith("bursts"):
            signature += f"|burst:{BURST_LETTERS if unit == 'letter' else BURST_WORDS}"
        rows.append(
            _row(metric, value, len(group), signature)
            | {
                "headline": metric == headline and measures.reference_units > 0,
                "reference_units": measures.reference_units,
                "substitutions": measures.substitutions,
                "deletions": measures.deletions,
                "insertions": measures.insertions,
            }
        )
    correct = [
        language_code(pair["detected_language"]) == language_code(language)
        for pair in group
        if pair["detected_language"] is not None
    ]
    if correct:
        rows.append(_row("lid_accuracy", accuracy(correct), len(correct), _bootstrap_signature()))
    spoken = [
        (pair["letters_over_silence"], pair["letters"]) for pair in group if pair.get("letters")
    ]
    if spoken:
        signature = f"unit:letter|no_speech_prob:>0.6|{_bootstrap_signature()}"
        rows.append(_row("text_over_silence", share(spoken), len(spoken), signature))
    wrong, units = errors(words), words[:, :3].sum(axis=1)
    expected = units * wrong.sum() / max(units.sum(), 1)
    most = [place for place in np.argsort(expected - wrong, kind="stable") if wrong[place]]
    return rows, [
        RecordingErrors(group[place], errors=int(wrong[place]), units=int(units[place]))
        for place in most[:worst]
    ]


def _translations(
    group: Sequence[Pair], worst: int
) -> tuple[list[dict[str, Any]], list[RecordingErrors]]:
    measures = translation_measures(
        [pair["reference"] for pair in group], [pair["hypothesis"] for pair in group]
    )
    scores = measures.each_chrf
    # An exact translation is not always exactly 100: the sums are of floats.
    lowest = [place for place in np.argsort(scores, kind="stable") if scores[place] < 99.999]
    return [
        _row("bleu", measures.bleu, len(group), measures.bleu_signature) | {"headline": True},
        _row("chrf", measures.chrf, len(group), measures.chrf_signature),
    ], [RecordingErrors(group[place], chrf=float(scores[place])) for place in lowest[:worst]]


def transcript_counts(group: Sequence[Pair]) -> tuple[Counts, Counts]:
    """Word and character counts after normalisation, of pairs of one language.

    For unspaced languages both are counts of letters.
    """
    language, texts = group[0]["language"], _normalised(group)
    words = _aligned(language, texts)
    return words, words if is_unspaced(language) else character_counts(*texts)


def unit_counts(group: Sequence[Pair]) -> Counts:
    """Counts in words, or in letters of an unspaced language, of pairs of one language."""
    return _aligned(group[0]["language"], _normalised(group))


def _aligned(language: str, texts: tuple[list[str], list[str]]) -> Counts:
    return word_counts(*texts, burst=BURST_LETTERS if is_unspaced(language) else BURST_WORDS)


def _normalised(group: Sequence[Pair]) -> tuple[list[str], list[str]]:
    references = [normalize(pair["reference"], pair["language"]) for pair in group]
    return references, [normalize(pair["hypothesis"], pair["language"]) for pair in group]


def _row(metric: str, measure: Measure, utterances: int, signature: str) -> dict[str, Any]:
    return {
        "metric": metric,
        "value": measure.value,
        "ci_low": measure.ci_low,
        "ci_high": measure.ci_high,
        "headline": False,
        "utterances": utterances,
        "signature": signature,
    }


@cache
def _error_signature(language: str, unit: str) -> str:
    return (
        f"unit:{unit}|normalizer:{normalizer_name(language)}|"
        f"openai-whisper:{version('openai-whisper')}|jiwer:{version('jiwer')}|"
        f"{_bootstrap_signature()}"
    )


def _bootstrap_signature() -> str:
    return f"interval:{CONFIDENCE:.0%} bootstrap|bs:{RESAMPLES}|seed:{SEED}"
