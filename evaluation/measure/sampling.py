"""What is drawn for an interval and swapped in a test: recordings, speakers or sessions.

Recordings of one speaker, or of one session, are not independent, so they are drawn together (see
`bootstrap`). Pairs name them in the columns `speaker` and `session`, if they have these.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from evaluation.measure.bootstrap import Units

__all__ = ["NAMED_UNITS", "RECORDING", "Sampling", "sampling_of"]

RECORDING = "recording"

NAMED_UNITS = ("speaker", "session")
"""Columns of pairs that name a unit."""


@dataclass(frozen=True)
class Sampling:
    """The units of some pairs.

    Attributes:
        unit: `recording`, `speaker` or `session`
        number: how many there are
        units: the unit of each pair; None if each pair is one
    """

    unit: str
    number: int
    units: Units | None

    @property
    def columns(self) -> dict[str, Any]:
        """For a table of scores or of a comparison."""
        return {"sampling_unit": self.unit, "sampling_units": self.number}


def sampling_of(pairs: Sequence[Mapping[str, Any]]) -> Sampling:
    """The units of some pairs: the larger ones, if both speakers and sessions are named.

    A recording without a name is a unit of its own.

    >>> sampling_of([{"speaker": "a"}, {"speaker": "a"}, {"speaker": None}]).number
    2
    """
    found = [_named(pairs, name) for name in NAMED_UNITS if any(p.get(name) for p in pairs)]
    return min(
        found,
        key=lambda sampling: sampling.number,
        default=Sampling(RECORDING, len(pairs), None),
    )


def _named(pairs: Sequence[Mapping[str, Any]], name: str) -> Sampling:
    numbers: dict[tuple[str, Any], int] = {}
    units = [
        numbers.setdefault((name, pair[name]) if pair.get(name) else ("row", row), len(numbers))
        for row, pair in enumerate(pairs)
    ]
    return Sampling(name, len(numbers), np.array(units, dtype=np.int64))
