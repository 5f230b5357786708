"""How messages name groups, figures and recordings."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from evaluation.languages import language_label
from evaluation.measure.metrics import METRICS
from evaluation.pairs.table import tag_of

__all__ = ["group_name", "metric_name", "recordings", "shown_points"]


def group_name(row: Mapping[str, Any]) -> str:
    """The group of a row: `English (en) of fleurs, transcribe`."""
    return f"{language_label(tag_of(row))} of {row['dataset']}, {row['task']}"


def metric_name(metric: str) -> str:
    """A metric without its unit.

    >>> metric_name("wer")
    'WER'
    """
    return METRICS[metric].label.removesuffix(" %")


def shown_points(metric: str, points: float) -> str:
    """A value in points, with its unit.

    >>> shown_points("wer", 12.345), shown_points("bleu", 30)
    ('12.35 %', '30.00')
    """
    return f"{points:.2f}{' %' if METRICS[metric].label.endswith(' %') else ''}"


def recordings(row: Mapping[str, Any]) -> str:
    """What was compared or scored: `300 recordings`, `300 recordings of 12 speakers`."""
    unit = row["sampling_unit"]
    counted = _counted(row["utterances"], "recording")
    if unit == "recording":
        return counted
    return f"{counted} of {_counted(row['sampling_units'], unit)}"


def _counted(number: int, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 's'}"
