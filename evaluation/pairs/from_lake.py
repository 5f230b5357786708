"""Pairs of reference and transcript, joined in a lake by DuckDB."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pyarrow as pa

from evaluation.pairs.references import name_splits
from nightscribe.uris import join_uri

if TYPE_CHECKING:
    import duckdb

# - Every model and every set of options is paired, so that they can be compared. If a recording
#   was transcribed again with the same ones, the newest transcript counts.
# - A language was detected if the options name none. Whether it is right is unknown if the
#   reference does not give the language (`und`), and none is right if nobody speaks (`zxx`).
# - Text is over silence if the model gives its segment a `no_speech_prob` above 0.6. That is
#   Whisper's `no_speech_threshold`, which by itself does not remove the text.
# - `place` is one of the places where the recording lies.
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
    coalesce(transcript.text, '') AS hypothesis,
    CASE WHEN transcript.options ->> '$.language' IS NULL
        AND reference.language NOT IN ('und', 'zxx')
        THEN transcript.language END AS detected_language,
    reference.variety,
    reference.split,
    transcript.duration_s,
    reference.speaker,
    reference.session,
    place,
    transcript_id,
    transcript.created_at AS transcribed_at,
    transcript.sequence,
    spoken.letters,
    spoken.letters_over_silence,
    kinds.kind
FROM scored_references AS reference
JOIN (
    -- Not of a content that no place holds any more, such as a file that was still being written.
    FROM transcripts SEMI JOIN sources USING (recording_id)
    QUALIFY row_number() OVER (
        PARTITION BY recording_id, model_id, task, options_key
        ORDER BY sequence DESC NULLS LAST, created_at DESC, transcript_id
    ) = 1
) AS transcript USING (recording_id, task)
LEFT JOIN (
    SELECT recording_id, min({'archive': archive, 'member': member}) AS place
    FROM sources
    GROUP BY recording_id
) AS places USING (recording_id)
LEFT JOIN (
    SELECT transcript_id,
        sum(length(trim(text)))::BIGINT AS letters,
        coalesce(sum(length(trim(text))) FILTER (no_speech_prob > 0.6), 0)::BIGINT
            AS letters_over_silence
    FROM segments
    GROUP BY transcript_id
) AS spoken USING (transcript_id)
LEFT JOIN (
    SELECT recording_id, min(metadata ->> '$.kind') AS kind
    FROM sources
    SEMI JOIN (FROM scored_references WHERE language = 'zxx') USING (recording_id)
    GROUP BY recording_id
) AS kinds USING (recording_id)
ORDER BY ALL
"""

# The reference's present language counts. If it was corrected, the recording may be in the
# baselines of two languages: then the newer one counts. A baseline may be older than the name under
# which its split is scored.
_BASELINES = """
SELECT
    reference.dataset,
    reference.language,
    task,
    baseline.model_id,
    baseline.model,
    baseline.options_key,
    recording_id,
    reference.text AS reference,
    baseline.text AS hypothesis,
    baseline.detected_language,
    reference.variety,
    reference.split,
    baseline.created_at AS set_at
FROM scored_references AS reference
JOIN latest_baselines AS baseline USING (recording_id, task)
WHERE baseline.dataset IN (reference.dataset, reference.older_name)
QUALIFY row_number() OVER (
    PARTITION BY reference.dataset, task, recording_id
    ORDER BY baseline.sequence DESC NULLS LAST, baseline.created_at DESC, baseline.baseline_id
) = 1
ORDER BY ALL
"""


def pairs(connection: duckdb.DuckDBPyConnection) -> pa.Table:
    """Every reference with every transcript of the same recording and task.

    Args:
        connection: with the lake's views `reference_texts`, `transcripts`, `segments`, `sources`,
            as `nightscribe.lake.reading.connect` gives it

    Returns:
        the columns of `STATED`, then `duration_s`, `speaker`, `session`, `source`, `transcript_id`,
        `transcribed_at`, `sequence`, `letters`, `letters_over_silence`, and of recordings without
        speech the `kind` that their manifest states
    """
    name_splits(connection)
    found = connection.sql(_PAIRS).to_arrow_table()
    sources = [place and join_uri(**place) for place in found["place"].to_pylist()]
    index = found.column_names.index("place")
    return found.set_column(index, "source", pa.array(sources, pa.string()))


def baseline_pairs(connection: duckdb.DuckDBPyConnection) -> pa.Table:
    """Every reference with the transcript that its baseline keeps.

    Args:
        connection: with the views `reference_texts` and `latest_baselines`

    Returns:
        the columns of `STATED`, then `set_at`
    """
    name_splits(connection)
    return connection.sql(_BASELINES).to_arrow_table()
