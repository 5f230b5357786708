"""Commit reviewers' decisions: from the folder of the web server into the lake."""

from __future__ import annotations

from dataclasses import dataclass

import pyarrow as pa

from nightscribe.decisions import Decision, Decisions
from nightscribe.lake.damage import explains
from nightscribe.lake.keys import KEYS
from nightscribe.lake.reading import read
from nightscribe.lake.tables import Lake
from nightscribe.settings import Settings
from nightscribe.stages.publish import publish

__all__ = ["Committed", "commit_reviews"]


@dataclass(frozen=True)
class Committed:
    """What was new to the lake, and the files that hold no decision, each with the reason."""

    corrections: int
    reviews: int
    unreadable: list[str]

    def summary(self) -> str:
        """One line for a log."""
        return f"{self.corrections} corrections and {self.reviews} reviews were committed"


@explains
def commit_reviews(lake: Lake, settings: Settings, run_id: str) -> Committed:
    """Commit the decisions that the lake does not have, and publish the catalog.

    The files stay: the workers may only read them. The pages remove those that the lake has. A
    decision is committed once, however often its file is read, and one about a forgotten recording
    never.
    """
    decisions, unreadable = Decisions.of(settings).all()
    ids = read(lake, "SELECT recording_id FROM forgotten")["recording_id"].to_pylist()
    forgotten = frozenset(ids)
    decisions = [one for one in decisions if not one.recordings & forgotten]
    added = {
        # A verdict becomes visible after the corrections on which it rests.
        table: _commit(lake, table, decisions, run_id)
        for table in ("corrections", "reviews")
    }
    # Also if nothing is new: an earlier attempt may have been killed before it published.
    publish(lake)
    return Committed(**added, unreadable=unreadable)


def _commit(lake: Lake, table: str, decisions: list[Decision], run_id: str) -> int:
    rows = [decision.rows(table, run_id) for decision in decisions]
    if not rows:
        return 0
    added: int = lake.insert_new(table, pa.concat_tables(rows), KEYS[table]).num_rows
    return added
