"""The tables that scoring makes: their columns, units and meaning."""

from __future__ import annotations

import pyarrow as pa

__all__ = ["SCORES", "UTTERANCES"]

SCORES = pa.schema(
    [
        pa.field("dataset", pa.string(), nullable=False),
        pa.field("language", pa.string(), nullable=False),
        pa.field("variety", pa.string()),
        pa.field("split", pa.string()),
        pa.field("model_id", pa.string(), nullable=False),
        pa.field("model", pa.string(), nullable=False),
        pa.field("task", pa.string(), nullable=False),
        pa.field("options_key", pa.string(), nullable=False),
        pa.field("metric", pa.string(), nullable=False),
        pa.field("value", pa.float64(), nullable=False),
        pa.field("ci_low", pa.float64()),
        pa.field("ci_high", pa.float64()),
        pa.field("headline", pa.bool_(), nullable=False),
        pa.field("utterances", pa.int64(), nullable=False),
        pa.field("of_references", pa.int64()),
        pa.field("sampling_unit", pa.string()),
        pa.field("sampling_units", pa.int64()),
        pa.field("reference_units", pa.int64()),
        pa.field("substitutions", pa.int64()),
        pa.field("deletions", pa.int64()),
        pa.field("insertions", pa.int64()),
        pa.field("signature", pa.string(), nullable=False),
    ]
)
"""One row per metric (see `metrics`). Rates are fractions, BLEU and chrF++ are 0 to 100, and
invented words are per hour. Intervals are 95 %, and null for a single unit: they come from drawing
`sampling_units` recordings, speakers or sessions, as `sampling_unit` says. `utterances` of
`of_references` references were measured. `split` is that of all recordings. `headline` marks the
one metric to quote: `wer`, or `cer` for unspaced languages, or `bleu`, or `hallucination_rate`
where nobody speaks; never an error rate without reference units."""

UTTERANCES = pa.schema(
    [
        *(SCORES.field(name) for name in ("dataset", "language", "variety", "model_id", "model")),
        SCORES.field("task"),
        SCORES.field("options_key"),
        pa.field("recording_id", pa.string(), nullable=False),
        pa.field("transcript_id", pa.string()),
        SCORES.field("metric"),
        pa.field("errors", pa.int64()),
        pa.field("units", pa.int64()),
        pa.field("chrf", pa.float64()),
    ]
)
"""One row per pair. `metric` is `wer`, `cer` for unspaced languages, or `chrf` for translations:
BLEU means little for one sentence. Errors and reference length are in words, or in letters of
unspaced languages, and null for translations. Where nobody speaks it is
`hallucinated_words_per_hour`, errors are the words that were invented, and there are 0 units."""
