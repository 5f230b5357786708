"""Language identification: which language was detected for which spoken one."""

from __future__ import annotations

from collections import Counter

import pyarrow as pa

from evaluation.languages import language_code
from evaluation.pairs.table import Pair, pair_rows, tag_of
from nightscribe.languages import NO_SPEECH

CONFUSION = pa.schema(
    [
        pa.field("dataset", pa.string(), nullable=False),
        pa.field("model_id", pa.string(), nullable=False),
        pa.field("options_key", pa.string(), nullable=False),
        pa.field("language", pa.string(), nullable=False),
        pa.field("detected_language", pa.string(), nullable=False),
        pa.field("utterances", pa.int64(), nullable=False),
    ]
)
"""One row per spoken and detected language of a system. Languages are Whisper's codes."""


_ALSO_SPOKEN = {"zh-HK": "yue"}
"""Variety → language that is spoken there under the code of another: Common Voice's `zh-HK` is
Cantonese."""


def is_identified(pair: Pair) -> bool:
    """Whether the language detected is the one spoken; true if none had to be detected."""
    if pair["detected_language"] is None:
        return True
    detected = language_code(pair["detected_language"])
    return detected in (language_code(pair["language"]), _ALSO_SPOKEN.get(tag_of(pair)))


def confusion(pairs: pa.Table) -> pa.Table:
    """Count detected languages per spoken language, over the recordings with a detected one.

    Recordings in which nobody speaks are not among them. A recording that was both transcribed and
    translated counts once.

    Returns:
        columns as in `CONFUSION`; no rows if the language was always given

    Raises:
        ValueError: see `pair_rows`
    """
    detected: dict[tuple[str, str, str, str], tuple[str, str]] = {}
    for pair in pair_rows(pairs):
        if pair["detected_language"] is not None and pair["language"] != NO_SPEECH:
            recording = (
                pair["dataset"],
                pair["model_id"],
                pair["options_key"],
                pair["recording_id"],
            )
            spoken = language_code(pair["language"])
            found = spoken if is_identified(pair) else language_code(pair["detected_language"])
            detected[recording] = (spoken, found)
    counted = Counter((*recording[:3], *languages) for recording, languages in detected.items())
    rows = [
        dict(zip(CONFUSION.names, (*key, utterances), strict=True))
        for key, utterances in sorted(counted.items())
    ]
    return pa.Table.from_pylist(rows, schema=CONFUSION)
