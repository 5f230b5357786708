"""A transcript word by word beside its reference, as a report shows it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

import jiwer

from evaluation.normalize import normalize

_CONTEXT = 6  # words shown on each side of an error, when there is more between two
_WORTH_CUTTING = 10  # words: a shorter gap is not worth its dots
_MOST_CELLS = 300  # of one alignment; an hour of speech has 10,000 words


@dataclass(frozen=True)
class Cell:
    """One step of an alignment: a word of the reference over one of the hypothesis."""

    kind: Literal["equal", "substitute", "delete", "insert", "skip"]
    reference: str
    hypothesis: str


def aligned(pair: Mapping[str, Any]) -> list[Cell]:
    """Align a transcript with its reference; long stretches without an error are cut out."""
    if pair["task"] == "translate":
        return []
    language = pair["language"]
    words = jiwer.process_words(
        normalize(pair["reference"], language), normalize(pair["hypothesis"], language)
    )
    reference, hypothesis = words.references[0], words.hypotheses[0]
    cells: list[Cell] = []
    for chunk in words.alignments[0]:
        said = reference[chunk.ref_start_idx : chunk.ref_end_idx]
        heard = hypothesis[chunk.hyp_start_idx : chunk.hyp_end_idx]
        length = max(len(said), len(heard))
        steps = [
            Cell(chunk.type, first, second)
            for first, second in zip(said or [""] * length, heard or [""] * length, strict=True)
        ]
        if chunk.type == "equal" and length > 2 * _CONTEXT + _WORTH_CUTTING:
            gap = f"… {length - 2 * _CONTEXT} …"
            steps[_CONTEXT:-_CONTEXT] = [Cell("skip", gap, gap)]
        cells += steps
    if len(cells) > _MOST_CELLS:
        rest = f"… {len(cells) - _MOST_CELLS} more"
        cells[_MOST_CELLS:] = [Cell("skip", rest, rest)]
    return cells
