"""The models and options that were measured: read from a lake, and shown in a report."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import pyarrow as pa

if TYPE_CHECKING:
    import duckdb

__all__ = ["system_facts", "systems"]

# The speed is that of whole batches, which may contain other recordings as well.
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


def systems(connection: duckdb.DuckDBPyConnection) -> pa.Table:
    """The models and options of all transcripts that have a reference.

    Args:
        connection: with the lake's views `transcripts`, `reference_texts` and `batches`

    Returns:
        columns model_id, options_key, model, options (JSON), engine, precision, versions (JSON),
        rtfx and device, the last two over the batches in which they were transcribed
    """
    return connection.sql(_SYSTEMS).to_arrow_table()


def system_facts(row: Mapping[str, Any]) -> dict[str, str]:
    """A row of `systems` as label and text; of the options, those that were set."""
    options = {
        name: value for name, value in json.loads(row["options"]).items() if value is not None
    }
    return {
        "Model": row["model"],
        "model_id": row["model_id"][:12],
        "options_key": row["options_key"],
        "Engine": f"{row['engine']}, {row['precision']}",
        "RTFx": "" if row["rtfx"] is None else f"{row['rtfx']:.1f}",
        "Device": row["device"] or "",
        "Options": json.dumps(options, ensure_ascii=False),
        "Versions": ", ".join(" ".join(one) for one in json.loads(row["versions"]).items()),
    }
