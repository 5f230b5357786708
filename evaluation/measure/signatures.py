"""Signatures: how a score was measured, as part of its row.

Two scores of one metric compare only if their signatures are equal. BLEU and chrF++ have
sacrebleu's own.
"""

from __future__ import annotations

from functools import cache
from importlib.metadata import version

from evaluation.languages import language_code
from evaluation.measure.bootstrap import CONFIDENCE, RESAMPLES, SEED
from evaluation.measure.normalize import (
    CHINESE,
    MARKS_KEPT,
    RAW,
    SIMPLIFIED,
    normalizer_name,
)

BOOTSTRAP = f"interval:{CONFIDENCE:.0%} bootstrap|bs:{RESAMPLES}|seed:{SEED}"
"""Of any metric: how its interval was made."""

OVER_SILENCE = f"unit:letter|no_speech_prob:>0.6|{BOOTSTRAP}"

HALLUCINATED = f"unit:word|unspaced:letter|normalizer:{MARKS_KEPT}|{BOOTSTRAP}"
"""Of what was written where nobody speaks, see `hallucinations`."""


@cache
def error_signature(language: str, unit: str, normalizer: str | None = None) -> str:
    """Of an error rate: unit, normalizer, versions and interval.

    Args:
        normalizer: its name; by default that of the language's headline
    """
    name = normalizer or normalizer_name(language)
    parts = [f"unit:{unit}", f"normalizer:{name}"]
    if name == MARKS_KEPT and language_code(language) == "sr":
        parts.append("script:cyrillic")
    if name in (MARKS_KEPT, SIMPLIFIED) and language_code(language) in CHINESE:
        parts.append(f"script:simplified|opencc:{version('opencc')}")
    if name not in (RAW, MARKS_KEPT):
        parts.append(f"openai-whisper:{version('openai-whisper')}")
    return "|".join([*parts, f"jiwer:{version('jiwer')}", BOOTSTRAP])


def burst_signature(language: str, unit: str, burst: int) -> str:
    """Of a share of bursts: as for error rates, and the shortest run that is a burst."""
    return f"{error_signature(language, unit)}|burst:{burst}"
