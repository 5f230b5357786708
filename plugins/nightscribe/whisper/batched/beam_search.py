"""One step of beam search, in many windows at once."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

__all__ = ["BeamStep", "EndedBeam", "beam_step"]


@dataclass(frozen=True)
class EndedBeam:
    """A text that ends with this step."""

    window: int  # counted from 0 among the windows of the step
    source: int  # row that holds the text
    logprob: float  # of all its tokens and the end


@dataclass(frozen=True)
class BeamStep:
    """The beams that go on, and the texts that end. Shape of tensors: (rows,)."""

    source: Tensor  # row whose text each beam continues
    tokens: Tensor  # its next token
    logprob: Tensor  # of the whole beam
    ended: list[EndedBeam]  # the best first in each window


def beam_step(
    logits: Tensor, logprob: Tensor, rows: Tensor, beams: int, first: Tensor, eot: int
) -> BeamStep:
    """Find the best continuations of all beams of each window.

    A continuation that ends the text is set aside if it ranks before the last beam that goes on.

    Args:
        logits: (rows, vocabulary), after the token rules.
        logprob: (rows,) of each beam so far.
        rows: (rows,), numbers of the rows; all beams of a window follow one another.
        beams: rows of a window.
        first: (rows,), whether this is the window's first token. All its beams are equal then,
            and only one of them is continued.
        eot: the end-of-text token.
    """
    # One more than there are beams: one of them may end the text.
    width = beams + 1
    best = logits.log_softmax(-1).topk(width)
    totals = logprob[:, None] + best.values
    beam = torch.arange(len(rows), device=rows.device) % beams
    totals = totals.masked_fill((first & (beam > 0))[:, None], -torch.inf)
    totals, order = totals.view(-1, beams * width).sort(descending=True, stable=True)
    tokens = best.indices.view(-1, beams * width).gather(1, order)
    sources = rows.view(-1, beams).gather(1, order // width)
    ends = tokens == eot
    going_on_before = (~ends).cumsum(1) - (~ends).long()
    ended = _ended(ends & (going_on_before < beams), sources, totals)
    # A stable sort brings the best that go on to the front, in order.
    going_on = ends.long().sort(dim=1, stable=True).indices[:, :beams]
    return BeamStep(
        source=sources.gather(1, going_on).flatten(),
        tokens=tokens.gather(1, going_on).flatten(),
        logprob=totals.gather(1, going_on).flatten(),
        ended=ended,
    )


def _ended(ended: Tensor, sources: Tensor, totals: Tensor) -> list[EndedBeam]:
    if not ended.any():
        return []
    return [
        EndedBeam(window, int(sources[window, place]), float(totals[window, place]))
        for window, place in ended.nonzero().tolist()
    ]
