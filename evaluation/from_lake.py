"""Pairs of reference and transcript, joined in a lake: the only module that knows its tables."""

from __future__ import annotations

import duckdb
import pyarrow as pa

# - Every model and set of options is paired, so that they can be compared; of a recording
#   that was forced through the same ones again, the newest transcript.
# - A language was detected when the options name none; whether rightly cannot be told where
#   the reference does not say which it is.
# - `sources` gives one of the places where the recording lies: where to listen.
_PAIRS = """
SELECT
    reference.dataset,
    reference.language,
    task,
    transcript.model_id,
    transcript.model,
    transcript.options_key,
    recording_id,
    reference.text AS reference,
    transcript.text AS hypothesis,
    CASE WHEN transcript.options ->> '$.language' IS NULL AND reference.language <> 'und'
        THEN transcript.language END AS detected_language,
    transcript.duration_s,
    place.source
FROM reference_texts AS reference
JOIN (
    FROM transcripts
    QUALIFY row_number() OVER (
        PARTITION BY recording_id, model_id, task, options_key
        ORDER BY created_at DESC, transcript_id
    ) = 1
) AS transcript USING (recording_id, task)
LEFT JOIN (
    SELECT recording_id, min(archive || '!/' || member) AS source
    FROM sources
    GROUP BY recording_id
) AS place USING (recording_id)
ORDER BY ALL
"""


def pairs(connection: duckdb.DuckDBPyConnection) -> pa.Table:
    """Every reference with every transcript of the same recording and task.

    Args:
        connection: with the lake's views `reference_texts`, `transcripts` and `sources`,
            as `nightscribe.lake.catalog.connect` gives it

    Returns:
        the columns of `evaluation.scoring.PAIRS`, then `duration_s` and `source`
    """
    return connection.sql(_PAIRS).to_arrow_table()
