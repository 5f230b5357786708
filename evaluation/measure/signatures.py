"""Signatures: how a score was measured, as part of its row.

Two scores of one metric compare only if their signatures are equal. BLEU and chrF++ have
sacrebleu's own.
"""

from __future__ import annotations

from functools import cache
from importlib.metadata import version

from evaluation.measure.bootstrap import CONFIDENCE, RESAMPLES, SEED
from evaluation.measure.normalize import normalizer_name

BOOTSTRAP = f"interval:{CONFIDENCE:.0%} bootstrap|bs:{RESAMPLES}|seed:{SEED}"
"""Of any metric: how its interval was made."""

OVER_SILENCE = f"unit:letter|no_speech_prob:>0.6|{BOOTSTRAP}"


@cache
def error_signature(language: str, unit: str) -> str:
    """Of an error rate: unit, normalizer, versions and interval."""
    return (
        f"unit:{unit}|normalizer:{normalizer_name(language)}|"
        f"openai-whisper:{version('openai-whisper')}|jiwer:{version('jiwer')}|"
        f"{BOOTSTRAP}"
    )


def burst_signature(language: str, unit: str, burst: int) -> str:
    """Of a share of bursts: as for error rates, and the shortest run that is a burst."""
    return f"{error_signature(language, unit)}|burst:{burst}"
