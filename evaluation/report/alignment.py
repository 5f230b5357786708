"""A transcript aligned word by word with its reference, cut to what a reader needs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

import jiwer

from evaluation.measure.normalize import normalize

_CONTEXT = 6  # words shown on each side of an error, if there are more between two
_SHORTEST_CUT = 10  # words: fewer than these are shown and not cut out
_MOST_CELLS = 300  # of one alignment; an hour of speech has 10,000 words


@dataclass(frozen=True)
class Cell:
    """One step of an alignment: a word of the reference and one of the hypothesis."""

    kind: Literal["equal", "substitute", "delete", "insert", "skip"]
    reference: str
    hypothesis: str


def aligned(pair: Mapping[str, Any]) -> list[Cell]:
    """Align a transcript with its reference, without long stretches that have no error.

    A translation is not aligned: the result is empty.
    """
    if pair["task"] == "translate":
        return []
    language = pair["language"]
    words = jiwer.process_words(
        normalize(pair["reference"], language), normalize(pair["hypothesis"], language)
    )
    cells: list[Cell] = []
    for chunk in words.alignments[0]:
        reference = words.references[0][chunk.ref_start_idx : chunk.ref_end_idx]
        hypothesis = words.hypotheses[0][chunk.hyp_start_idx : chunk.hyp_end_idx]
        cells += _cells(chunk.type, reference, hypothesis)
    if len(cells) > _MOST_CELLS:
        rest = f"… {len(cells) - _MOST_CELLS} more"
        cells[_MOST_CELLS:] = [Cell("skip", rest, rest)]
    return cells


def _cells(
    kind: Literal["equal", "substitute", "delete", "insert"],
    reference: list[str],
    hypothesis: list[str],
) -> list[Cell]:
    """The steps of one chunk; a long one without an error is cut in its middle."""
    length = max(len(reference), len(hypothesis))
    empty = [""] * length  # in place of what is deleted or inserted
    steps = [
        Cell(kind, one, other)
        for one, other in zip(reference or empty, hypothesis or empty, strict=True)
    ]
    if kind == "equal" and length > 2 * _CONTEXT + _SHORTEST_CUT:
        gap = f"… {length - 2 * _CONTEXT} …"
        steps[_CONTEXT:-_CONTEXT] = [Cell("skip", gap, gap)]
    return steps
