"""When a segment is doubtful by what Whisper itself says about it.

Whisper notes four figures of each segment's window. The last threshold of each is its own: beyond
it, `whisper.transcribe` decodes a window again at a higher temperature, or takes it for silence
(`whisper/options.py` has the same values as defaults). The two before it are ours, without a
measurement behind them: pages say beside them how often words of each step are wrong.

A figure says something about a window of 30 s, and so about all segments of that window.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

__all__ = [
    "COMPRESSION_RATIO",
    "FIGURES",
    "LANGUAGE_PROBABILITY",
    "LOGPROB",
    "NO_SPEECH",
    "STEPS",
    "TEMPERATURE",
    "Figure",
    "described",
    "step_of",
    "suspicions",
]

LOGPROB = -1.0
"""Mean log-probability below which Whisper decodes again: `logprob_threshold`."""

COMPRESSION_RATIO = 2.4
"""Compression ratio of the text above which Whisper decodes again, since it repeats itself:
`compression_ratio_threshold`."""

NO_SPEECH = 0.6
"""Probability of silence above which Whisper drops a window that is also improbable:
`no_speech_threshold`."""

TEMPERATURE = 0.0
"""A temperature above this one says that Whisper's first attempt failed by one of the others."""

LANGUAGE_PROBABILITY = 0.5
"""Probability of the detected language below which any other one is more likely, all together.
Whisper has no threshold of its own: it takes the most probable language, however improbable."""

STEPS = 3
"""Steps of doubt: a little, clearly, and beyond Whisper's own thresholds."""


@dataclass(frozen=True)
class Figure:
    """A figure of a segment that may be suspicious.

    Attributes:
        column: of `segments`
        name: in words
        thresholds: of the three steps; the last is Whisper's own
        is_low: whether values below a threshold are suspicious, not those above
    """

    column: str
    name: str
    thresholds: tuple[float, float, float]
    is_low: bool = False

    def step(self, value: float) -> int:
        """0 for a value that is not suspicious, else 1, 2 or 3."""
        if self.is_low:
            return sum(value < threshold for threshold in self.thresholds)
        return sum(value > threshold for threshold in self.thresholds)


FIGURES = (
    Figure("avg_logprob", "mean log-probability", (-0.45, -0.7, LOGPROB), is_low=True),
    Figure("compression_ratio", "compression ratio", (2.0, 2.2, COMPRESSION_RATIO)),
    Figure("no_speech_prob", "probability of silence", (0.2, 0.4, NO_SPEECH)),
    Figure("temperature", "temperature", (TEMPERATURE, TEMPERATURE, TEMPERATURE)),
)


def suspicions(segment: Mapping[str, Any]) -> list[tuple[Figure, float, int]]:
    """The suspicious figures of a row of `segments`: figure, value, and step from 1 to 3.

    A segment that a person has added has no figures.
    """
    values = [
        (figure, float(value))
        for figure in FIGURES
        if (value := segment[figure.column]) is not None
    ]
    return [(figure, value, step) for figure, value in values if (step := figure.step(value))]


def described(segment: Mapping[str, Any]) -> str:
    """The suspicious figures of a row of `segments` in words; empty if there are none."""
    return ", ".join(f"{figure.name} {value:.2f}" for figure, value, _ in suspicions(segment))


def step_of(segment: Mapping[str, Any]) -> int:
    """How doubtful a row of `segments` is: the highest step of its figures, 0 to 3.

    >>> step_of({"avg_logprob": -0.5, "compression_ratio": 2.5, "no_speech_prob": 0.0,
    ...          "temperature": 0.0})
    3
    """
    return max((step for _, _, step in suspicions(segment)), default=0)
