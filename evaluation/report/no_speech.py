"""The report's section on recordings in which nobody speaks: how much was invented, and what."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from evaluation.measure.hallucinations import (
    hallucinated_words,
    is_without_speech,
    per_hour_of,
    texts_invented,
    word_counts_and_times,
)
from evaluation.measure.scoring import Evaluation
from evaluation.measure.worst import RecordingErrors
from evaluation.pairs.table import Pair, pair_rows
from evaluation.report.by_language import Score
from evaluation.report.figures import NOTHING, drawn, number

__all__ = ["HEADINGS", "TEXT_HEADINGS", "KindRow", "NoSpeech", "no_speech", "no_speech_data"]

HEADINGS = ("Kind", "Recordings", "With text", "With text %", "Words", "Words per hour")
TEXT_HEADINGS = ("Text", "Recordings")

_TEXTS = 10
"""Invented texts that are listed."""

_CHARACTERS = 200
"""Of a text that is listed."""


@dataclass(frozen=True)
class KindRow:
    """The recordings of one kind, or all of them: as text, in the order of `HEADINGS`."""

    kind: str
    recordings: str
    with_text: str
    rate: str
    words: str
    words_per_hour: str

    @property
    def cells(self) -> tuple[str, ...]:
        """For a table."""
        return tuple(asdict(self).values())


@dataclass(frozen=True)
class NoSpeech:
    """What one system wrote where nobody speaks, of one data set.

    Attributes:
        rows: of all recordings, then of each kind if manifests state several
        texts: the texts that were invented most often, with the number of their recordings
        worst: the recordings with the most words
    """

    dataset: str
    task: str
    model_id: str
    model: str
    options_key: str
    rows: list[KindRow]
    texts: list[tuple[str, int]]
    worst: list[RecordingErrors]

    @property
    def system(self) -> str:
        """The model and its options."""
        return ", options ".join(filter(None, [self.model, self.options_key[:8]]))


def no_speech(evaluation: Evaluation) -> list[NoSpeech]:
    """One for each data set, task, model and options; none without such recordings."""
    scores: dict[tuple[str, ...], dict[str, Score]] = defaultdict(dict)
    for row in evaluation.scores.to_pylist():
        if is_without_speech(row["language"]):
            scores[_key(row)][row["metric"]] = row
    if not scores:
        return []
    pairs: dict[tuple[str, ...], list[Pair]] = defaultdict(list)
    for pair in pair_rows(evaluation.pairs):
        if is_without_speech(pair["language"]):
            pairs[_key(pair)].append(pair)
    worst = {
        _key(group[0].pair): group
        for group in evaluation.worst
        if group and is_without_speech(group[0].pair["language"])
    }
    return [
        NoSpeech(
            dataset=key[0],
            task=key[1],
            model_id=key[2],
            model=found["hallucination_rate"]["model"],
            options_key=key[3],
            rows=[_all(found, pairs[key]), *_kinds(pairs[key])],
            texts=[(_cut(text), count) for text, count in texts_invented(pairs[key], _TEXTS)],
            worst=worst.get(key, []),
        )
        for key, found in sorted(scores.items())
    ]


def no_speech_data(sections: Iterable[NoSpeech]) -> list[dict[str, Any]]:
    """The sections for JSON, without the recordings."""
    return [
        {
            **{
                name: getattr(section, name)
                for name in ("dataset", "task", "model_id", "model", "options_key")
            },
            "rows": [asdict(row) for row in section.rows],
            "texts": [{"text": text, "recordings": count} for text, count in section.texts],
        }
        for section in sections
    ]


def _key(row: dict[str, Any] | Score) -> tuple[str, ...]:
    return row["dataset"], row["task"], row["model_id"], row["options_key"]


def _all(scores: dict[str, Score], pairs: Sequence[Pair]) -> KindRow:
    rate = scores["hallucination_rate"]
    of = rate["utterances"] if rate["of_references"] is None else rate["of_references"]
    per_hour = scores.get("hallucinated_words_per_hour")
    return KindRow(
        "all",
        f"{rate['utterances']} of {of}{drawn(rate)}",
        *_counted(pairs)[:1],
        number(rate),
        _counted(pairs)[1],
        number(per_hour),
    )


def _kinds(pairs: Sequence[Pair]) -> list[KindRow]:
    kinds: dict[str, list[Pair]] = defaultdict(list)
    for pair in pairs:
        kinds[pair.get("kind") or NOTHING].append(pair)
    if set(kinds) == {NOTHING}:
        return []
    return [_kind(kind, of_kind) for kind, of_kind in sorted(kinds.items())]


def _kind(kind: str, pairs: Sequence[Pair]) -> KindRow:
    with_text, words = _counted(pairs)
    timed = [pair for pair in pairs if pair.get("duration_s")]
    per_hour = NOTHING
    if timed:
        counts = word_counts_and_times(timed, timed)
        per_hour = f"{float(per_hour_of(counts.sum(axis=0))):.1f}"
    rate = f"{100 * int(with_text) / len(pairs):.1f}"
    return KindRow(kind, str(len(pairs)), with_text, rate, words, per_hour)


def _counted(pairs: Sequence[Pair]) -> tuple[str, str]:
    """Recordings with text, and words."""
    words = np.array([hallucinated_words(pair["hypothesis"]) for pair in pairs], np.int64)
    return str(int((words > 0).sum())), str(int(words.sum()))


def _cut(text: str) -> str:
    return text if len(text) <= _CHARACTERS else text[: _CHARACTERS - 1] + "…"
