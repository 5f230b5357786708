"""Which transcripts are done: the rule that planning and transcription share.

A transcript that was to be made again (`force`) and was not, for lack of time, is *postponed*: a
row of `rejected` says so. Until it is made again, the old transcript stays visible and does not
count as done.
"""

from __future__ import annotations

__all__ = ["DONE"]

DONE = """(
    FROM transcripts AS t ANTI JOIN (
        SELECT recording_id, model_id, task, options_key, max(created_at) AS postponed_at
        FROM rejected WHERE reason = 'postponed' GROUP BY ALL
    ) AS p ON (t.recording_id, t.model_id, t.task, t.options_key)
            = (p.recording_id, p.model_id, p.task, p.options_key)
        AND p.postponed_at > t.created_at)"""
"""A query over a lake's views: the rows of `transcripts` that are done."""
