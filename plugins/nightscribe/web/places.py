"""What recordings are called: by one of the places where they lie."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from nightscribe.web.snapshot import Snapshots

__all__ = ["Place", "places_of"]


@dataclass(frozen=True)
class Place:
    """The row of a recording in the view `places`.

    Attributes:
        name: the path within the archive, or the archive itself; without a place, the recording_id
        count: how many places the recording has
    """

    name: str
    count: int


def places_of(snapshots: Snapshots, recording_ids: Iterable[str]) -> dict[str, Place]:
    """Recording → its place, for each of the given ones."""
    wanted = list(dict.fromkeys(recording_ids))
    # DuckDB filters with this before it groups all sources; with a sub-query it may do so after.
    rows = snapshots.rows(
        """SELECT recording_id, name, place_count FROM places
           WHERE list_contains(?::VARCHAR[], recording_id)""",
        [wanted],
    )
    found = {row["recording_id"]: Place(row["name"], row["place_count"]) for row in rows}
    return {one: found.get(one, Place(one, 0)) for one in wanted}
