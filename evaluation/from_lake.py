"""Pairs of reference and transcript, joined in a lake: the only module that knows its tables."""

from __future__ import annotations

import duckdb
import pyarrow as pa

# - Every model and set of options is paired, so that they can be compared; of a recording
#   that was forced through the same ones again, the newest transcript.
# - A language was detected when the options name none; whether rightly cannot be told where
#   the reference does not say which it is.
# - Text is over silence where the model itself thought so: 0.6 is Whisper's `no_speech_threshold`,
#   which alone skips no text.
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
    place.source,
    transcript_id,
    transcript.created_at AS transcribed_at,
    spoken.letters,
    spoken.letters_over_silence
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
LEFT JOIN (
    SELECT transcript_id,
        sum(length(trim(text)))::BIGINT AS letters,
        coalesce(sum(length(trim(text))) FILTER (no_speech_prob > 0.6), 0)::BIGINT
            AS letters_over_silence
    FROM segments
    GROUP BY transcript_id
) AS spoken USING (transcript_id)
ORDER BY ALL
"""

# The language that counts is the one that the reference states now; if it was corrected since,
# the recording may be in the baselines of two.
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
    baseline.created_at AS set_at
FROM reference_texts AS reference
JOIN latest_baselines AS baseline USING (recording_id, task, dataset)
QUALIFY row_number() OVER (
    PARTITION BY dataset, task, recording_id
    ORDER BY baseline.created_at DESC, baseline.baseline_id
) = 1
ORDER BY ALL
"""


# A batch's speed is that of all that was in it.
_SYSTEMS = """
SELECT
    model_id,
    options_key,
    max(model) AS model,
    max(options) AS options,
    string_agg(DISTINCT engine, ', ' ORDER BY engine) AS engine,
    string_agg(DISTINCT precision, ', ' ORDER BY precision) AS precision,
    max(versions) AS versions,
    max(speed.rtfx) AS rtfx,
    max(speed.device) AS device
FROM transcripts
SEMI JOIN reference_texts USING (recording_id, task)
LEFT JOIN (
    SELECT
        transcribed.model_id,
        transcribed.options_key,
        sum(audio_s) / sum(wall_s) AS rtfx,
        string_agg(DISTINCT device, ', ' ORDER BY device) AS device
    FROM (SELECT DISTINCT model_id, options_key, attempt_id FROM transcripts) AS transcribed
    JOIN batches USING (attempt_id)
    GROUP BY ALL
) AS speed USING (model_id, options_key)
GROUP BY model_id, options_key
ORDER BY ALL
"""

_HISTORY = """
SELECT dataset, language, model_id, options_key, metric, value, score_id, created_at
FROM scores
WHERE headline AND score_id IN (
    SELECT score_id FROM scores GROUP BY score_id ORDER BY max(created_at) DESC LIMIT ?
)
ORDER BY created_at, score_id
"""


def pairs(connection: duckdb.DuckDBPyConnection) -> pa.Table:
    """Every reference with every transcript of the same recording and task.

    Args:
        connection: with the lake's views `reference_texts`, `transcripts`, `segments`, `sources`,
            as `nightscribe.lake.reading.connect` gives it

    Returns:
        the columns of `evaluation.scoring.PAIRS`, then `duration_s`, `source`, `transcript_id`,
        `transcribed_at`, `letters` and `letters_over_silence`
    """
    return connection.sql(_PAIRS).to_arrow_table()


def baseline_pairs(connection: duckdb.DuckDBPyConnection) -> pa.Table:
    """Every reference with the transcript that its baseline keeps.

    Args:
        connection: with the views `reference_texts` and `latest_baselines`

    Returns:
        the columns of `evaluation.scoring.PAIRS`, then `set_at`
    """
    return connection.sql(_BASELINES).to_arrow_table()


def history(connection: duckdb.DuckDBPyConnection, evaluations: int) -> pa.Table:
    """The headline scores of so many newest evaluations, the oldest first.

    Returns:
        columns dataset, language, model_id, options_key, metric, value, score_id, created_at
    """
    return connection.sql(_HISTORY, params=[evaluations]).to_arrow_table()


def systems(connection: duckdb.DuckDBPyConnection) -> pa.Table:
    """The models and options of which there are transcripts with a reference.

    Returns:
        columns model_id, options_key, model, options (JSON), engine, precision, versions (JSON),
        rtfx and device, the last two over the batches that they were transcribed in
    """
    return connection.sql(_SYSTEMS).to_arrow_table()
