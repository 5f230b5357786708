"""Which transcripts wait for a person, and in which order."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Literal, TypeAlias

from nightscribe.decisions import Decision, Decisions
from nightscribe.web.site import Site

__all__ = ["Queue", "Queued", "Waiting", "queued"]

Queue: TypeAlias = Literal["doubtful", "sample"]

_SHOWN = 50
_AHEAD = 500  # read of a queue at a time; decisions that wait have taken some of them
_KEPT_S = 60.0  # a page may show a state of the lake that is some seconds old

# - `doubtful` begins with the lowest product of what Whisper gives its words (the mean, as in
#   `avg_logprob`) and the language. `tools/measure_review.py` compares orders. Where Whisper wrote
#   nothing there is no such figure; these come last.
# - `sample` is the order of `recording_id`, the digest of a recording's bytes: it is random with
#   respect to everything that can be heard. The first ones of a language are a uniform sample.
# - Recordings with references of their own are in neither: their error rates are known.
_ORDERS: dict[Queue, str] = {
    "doubtful": """avg_logprob + ln(greatest(coalesce(language_probability, 1), 1e-9))
      ASC NULLS LAST, recording_id""",
    "sample": "recording_id",
}
_DONE: dict[Queue, str] = {
    "doubtful": "verdict IN ('accepted', 'skipped')",
    # Skipping a doubtful transcript must not take it out of the sample.
    "sample": "(verdict = 'skipped' AND queue = 'sample') OR (verdict = 'accepted' AND is_sampled)",
}


@dataclass(frozen=True)
class Waiting:
    """Decisions that the lake does not have yet.

    Attributes:
        unreadable: what is wrong with files of the folder that hold no decision
    """

    decisions: list[Decision]
    unreadable: list[str]

    @property
    def age_s(self) -> float:
        """How long the oldest one waits."""
        times = [row["created_at"] for one in self.decisions for row in one.corrections]
        times += [row["created_at"] for one in self.decisions for row in one.reviews]
        return (datetime.now(UTC) - min(times)).total_seconds() if times else 0.0


@dataclass(frozen=True)
class Queued:
    """A queue of one task, and perhaps of one language.

    Attributes:
        rows: the first transcripts: transcript_id, recording_id, language, duration_s, avg_logprob
        count: how many wait, as the lake knows
        done: verdict → decisions about this queue that the lake knows
        waiting: decisions about any queue that the lake does not know
    """

    rows: list[dict[str, Any]]
    count: int
    done: dict[str, int]
    waiting: Waiting


def _waiting(site: Site) -> Waiting:
    """The decisions that the lake does not have. Removes the files of those that it has."""
    folder = Decisions.of(site.settings)
    decisions, unreadable = folder.all()
    if not decisions:
        return Waiting([], unreadable)
    ids = [one.decision_id for one in decisions]
    known = {
        table: {
            row["decision_id"]
            for row in site.snapshots.rows(
                f"FROM {table} SELECT DISTINCT decision_id WHERE decision_id IN (SELECT unnest(?))",
                [ids],
            )
        }
        for table in ("corrections", "reviews")
    }
    pending = []
    for one in decisions:
        # The tables are committed one after the other, and the second commit may fail.
        has_rows = {"corrections": one.corrections, "reviews": one.reviews}
        if all(one.decision_id in known[table] for table, rows in has_rows.items() if rows):
            folder.remove(one, _KEPT_S)
        else:
            pending.append(one)
    return Waiting(pending, unreadable)


def queued(site: Site, queue: Queue, task: str, language: str) -> Queued:
    """The transcripts of a queue that no one has decided about."""
    condition = f"""FROM latest_transcripts
        WHERE task = ? AND (? = '' OR language = ?)
          AND recording_id NOT IN (
            SELECT recording_id FROM latest_reviews WHERE task = ? AND ({_DONE[queue]}))
          AND recording_id NOT IN (
            SELECT recording_id FROM reference_texts
            WHERE task = ? AND dataset NOT IN ('corrections', 'corrections-selected'))"""
    values = [task, language, language, task, task]
    pending = _waiting(site)
    decided = _decided(pending.decisions, queue, task)
    ahead = _AHEAD * (1 + (len(decided) + _SHOWN) // _AHEAD)
    rows = site.snapshots.kept_rows(
        f"""SELECT transcript_id, recording_id, language, duration_s, avg_logprob, text
            {condition} ORDER BY {_ORDERS[queue]} LIMIT {ahead}""",
        values,
    )
    [count] = site.snapshots.kept_rows(f"SELECT count(*) AS count {condition}", values)
    done = site.snapshots.kept_rows(
        """SELECT verdict, count(*) AS count FROM latest_reviews
           WHERE task = ? AND (? = '' OR language = ?)
             AND (? = 'doubtful' OR is_sampled OR queue = 'sample')
           GROUP BY verdict""",
        [task, language, language, queue],
    )
    rows = [row for row in rows if row["recording_id"] not in decided]
    return Queued(
        rows[:_SHOWN],
        count["count"],
        Counter({row["verdict"]: row["count"] for row in done}),
        pending,
    )


def _decided(decisions: list[Decision], queue: Queue, task: str) -> set[str]:
    """The recordings that a queue does not ask for, by decisions that the lake does not have."""
    newest = {
        row["recording_id"]: row for one in decisions for row in one.reviews if row["task"] == task
    }
    return {
        recording_id
        for recording_id, row in newest.items()
        if row["verdict"] != "reopened" and (queue == "doubtful" or row["queue"] == queue)
    }
