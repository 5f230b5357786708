"""Rows that no view shows are deleted once they are old, and no others."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

from nightscribe.lake.opening import open_lake
from nightscribe.lake.orphans import delete_orphans, find_orphans
from nightscribe.lake.reading import connect
from nightscribe.lake.tables import Lake
from nightscribe.lake.tidying import compact
from tests.lake.made_up import add, commit, filled


def counted(lake: Lake) -> dict[str, int]:
    """Rows of the tables themselves, not of the views."""
    names = ("transcripts", "segments", "batches", "scores", "verdicts", "utterance_errors")
    with connect(lake) as connection:
        return {
            name: connection.execute(f"SELECT count(*) FROM files.{name}").fetchall()[0][0]
            for name in names
        }


def test_rows_of_killed_attempts_and_evaluations_go_when_they_are_old(tmp_path: Path) -> None:
    lake = open_lake(str(tmp_path / "lake"))
    commit(lake, "first", "abc")
    commit(lake, "killed", "bc", finish=False)
    for score_id in ("whole", "killed"):
        for name in ("utterance_errors", "verdicts"):
            add(lake, name, *[filled(name, score_id=score_id)] * 3)
    add(lake, "scores", filled("scores", score_id="whole"))
    before = counted(lake)
    now = datetime.now(UTC)
    assert delete_orphans(lake, now - timedelta(hours=2)) == {}
    assert counted(lake) == before
    found = {"segments": 2, "batches": 1, "verdicts": 1, "utterance_errors": 1}
    later = now + timedelta(hours=1)
    assert {name: keys.num_rows for name, keys in find_orphans(lake, later).items()} == found
    compact(lake, "segments")  # whose new file is young
    assert delete_orphans(lake, later) == found
    assert counted(lake) == {
        "transcripts": 3,
        "segments": 6,
        "batches": 1,
        "scores": 1,
        "verdicts": 3,
        "utterance_errors": 3,
    }
    assert delete_orphans(lake, later) == {}
