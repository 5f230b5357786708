"""Which transcripts are done. Planning and transcription use the same rule.

If a batch with `force` has no time to replace a transcript, the transcript is *postponed*, and the
table `rejected` has a row for it. The old transcript stays visible until it is replaced, but it
does not count as done.
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
