"""Rows of a comparison with chosen figures, for the tests of the gate."""

from __future__ import annotations

from typing import Any

import pyarrow as pa

from evaluation.measure.comparison import COMPARISON
from evaluation.measure.paired import Difference


def row(found: Difference, utterances: int, **changed: Any) -> dict[str, Any]:
    """A row of a comparison: the word error rate of English, as changed."""
    return {
        "dataset": "fleurs",
        "language": "en",
        "task": "transcribe",
        "metric": "wer",
        "headline": True,
        "utterances": utterances,
        "sampling_unit": "recording",
        "sampling_units": utterances,
        "baseline": found.baseline,
        "candidate": found.candidate,
        "difference": found.value,
        "ci_low": found.ci_low,
        "ci_high": found.ci_high,
        "standard_error": found.standard_error,
        "p_value": found.p_value,
        "better": found.value < 0 if found.value else None,
    } | changed


def table(*rows: dict[str, Any]) -> pa.Table:
    return pa.Table.from_pylist(list(rows), schema=COMPARISON)


def a_difference(value: float, error: float = 0.005, p_value: float = 0.001) -> Difference:
    """From 10 % to that much more, measured with this standard error."""
    ends = value - 2 * error, value + 2 * error
    return Difference(0.1, 0.1 + value, *ends, error, p_value)
