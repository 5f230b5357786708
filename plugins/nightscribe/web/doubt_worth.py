"""What a step of doubt is worth in this lake: how often words of its segments are wrong.

Measured on references of the lake: a sample of some hundred recordings, which takes well below a
second. What reviewers chose because it looked wrong is not in it, nor are recordings in which
nobody speaks. The ids of recordings are digests, so those with the smallest are a sample by chance,
and the same one every time.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from nightscribe.lake.doubt import STEPS, step_of
from nightscribe.web.differences import compare
from nightscribe.web.snapshot import Snapshots

__all__ = ["StepWorth", "Worth", "worth_of_doubt"]

_RECORDINGS = 200
_CHARACTERS = 200_000  # of all references, about 35,000 words
_ENOUGH = 100
"""Words from which a share is told: a share of fewer may be off by ten points by chance."""


class StepWorth(NamedTuple):
    """Words of segments of a step (0 for none), and how many of them are wrong."""

    step: int
    words: int
    wrong: int

    @property
    def share(self) -> float | None:
        """Wrong words of 100; None if there are too few words to say."""
        return 100 * self.wrong / self.words if self.words >= _ENOUGH else None


class Worth(NamedTuple):
    """The steps of one model.

    Attributes:
        recordings: with a reference, in the sample
        steps: of 0 to 3
    """

    recordings: int
    steps: list[StepWorth]


def worth_of_doubt(snapshots: Snapshots, model_id: str) -> Worth | None:
    """Measure a model's steps; None without references. Kept until the lake changes."""
    found: Worth | None = snapshots.kept(
        f"worth of doubt {model_id}", lambda: _measured(snapshots, model_id)
    )
    return found


def _measured(snapshots: Snapshots, model_id: str) -> Worth | None:
    sample = snapshots.rows(
        """SELECT recording_id, transcript_id, reference FROM (
             SELECT recording_id, transcript_id, text AS reference,
               sum(length(text)) OVER (ORDER BY recording_id, transcript_id) AS characters
             FROM (SELECT recording_id, r.text, t.transcript_id FROM transcripts AS t
                   JOIN reference_texts AS r USING (recording_id, task)
                   WHERE task = 'transcribe' AND model_id = ? AND r.language <> 'zxx'
                     AND dataset <> 'corrections-selected'
                   QUALIFY row_number() OVER (
                     PARTITION BY recording_id ORDER BY t.sequence DESC NULLS LAST,
                       t.created_at DESC, t.transcript_id, dataset) = 1))
           WHERE characters <= ? ORDER BY recording_id, transcript_id LIMIT ?""",
        [model_id, _CHARACTERS, _RECORDINGS],
    )
    if not sample:
        return None
    rows = snapshots.rows(
        """SELECT transcript_id, text, avg_logprob, compression_ratio, no_speech_prob, temperature
           FROM segments WHERE recording_id IN (SELECT unnest(?))
             AND transcript_id IN (SELECT unnest(?)) ORDER BY transcript_id, "index" """,
        [[one["recording_id"] for one in sample], [one["transcript_id"] for one in sample]],
    )
    segments: dict[str, list[dict[str, Any]]] = {}
    for row in rows:
        segments.setdefault(row["transcript_id"], []).append(row)
    words, wrong = [0] * (STEPS + 1), [0] * (STEPS + 1)
    for one in sample:
        own = segments.get(one["transcript_id"], [])
        comparison = compare([row["text"] for row in own], one["reference"])
        for at, row in enumerate(own):
            step = step_of(row)
            all_words, wrong_words = comparison.wrong(at)
            words[step] += all_words
            wrong[step] += wrong_words
    steps = [StepWorth(step, words[step], wrong[step]) for step in range(STEPS + 1)]
    return Worth(len(sample), steps)
