"""What a forced run replaces is gone from the tables, too, and nothing else is."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import duckdb
import pytest
from deltalake import DeltaTable

from nightscribe.lake.opening import open_lake
from nightscribe.lake.reading import connect
from nightscribe.lake.replaced import delete_replaced
from nightscribe.lake.tables import Lake
from nightscribe.stages.publish import publish
from tests.lake.made_up import commit


def stored(lake: Lake) -> dict[str, list[str]]:
    """What readers around the views find: the ids in the tables, each as often as it is there."""
    found = {}
    for name, column in (
        ("transcripts", "transcript_id"),
        ("segments", "transcript_id"),
        ("batches", "attempt_id"),
    ):
        files = DeltaTable(lake.path(name)).file_uris()
        query = f"SELECT {column} FROM read_parquet({files}) ORDER BY ALL"
        found[name] = [value for (value,) in duckdb.sql(query).fetchall()]
    return found


def test_rows_of_replaced_attempts_are_deleted_and_those_in_work_stay(tmp_path: Path) -> None:
    lake = open_lake(str(tmp_path / "lake"))
    commit(lake, "first", "abc")
    commit(lake, "second", "b")
    commit(lake, "unfinished", "c", finish=False)  # of another process
    publish(lake)
    assert stored(lake) == {
        "transcripts": ["a-first", "b-second", "c-first"],
        "segments": ["a-first"] * 2 + ["b-second"] * 2 + ["c-first"] * 2 + ["c-unfinished"] * 2,
        "batches": ["first", "second", "unfinished"],  # the first has transcripts
    }
    commit(lake, "third", "abc")
    commit(lake, "fourth", "a")  # two that were not tidied in between
    publish(lake)
    assert stored(lake) == {
        "transcripts": ["a-fourth", "b-third", "c-third"],
        "segments": ["a-fourth"] * 2 + ["b-third"] * 2 + ["c-third"] * 2 + ["c-unfinished"] * 2,
        "batches": ["fourth", "third", "unfinished"],
    }
    before = {name: lake.table(name).version() for name in ("segments", "batches")}
    publish(lake)
    assert {name: lake.table(name).version() for name in before} == before


_DIES = """
import os, signal, sys
from nightscribe.lake.opening import open_lake
from nightscribe.lake.replaced import delete_replaced
from nightscribe.lake.tables import Lake
from tests.lake.made_up import commit

lake, table, when = sys.argv[1:]

def die(*_, **__):
    os.kill(os.getpid(), signal.SIGKILL)

if table == "transcripts":
    commit(open_lake(lake), "second", "ab")
    die()
delete = Lake.delete

def dying(self, name, *arguments):
    if name == table and when == "before":
        die()
    delete(self, name, *arguments)
    if name == table:
        die()

Lake.delete = dying
delete_replaced(open_lake(lake))
"""


def test_killed_between_any_two_commits_the_views_stay_and_the_next_publish_tidies(
    tmp_path: Path,
) -> None:
    lake = open_lake(str(tmp_path / "lake"))
    commit(lake, "first", "abc")
    shown = None
    for table, when in (
        ("transcripts", "after"),
        ("segments", "before"),
        ("segments", "after"),
        ("batches", "before"),
    ):
        process = subprocess.run(
            [sys.executable, "-c", _DIES, lake.uri, table, when],
            env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
            check=False,
        )
        assert process.returncode == -signal.SIGKILL, (table, when)
        with connect(lake) as connection:
            rows = connection.execute(
                "SELECT transcript_id, count(*) FROM segments GROUP BY ALL ORDER BY ALL"
            ).fetchall()
        assert rows == [("a-second", 2), ("b-second", 2), ("c-first", 2)], (table, when)
        shown = rows
    assert shown
    publish(lake)
    assert stored(lake)["segments"] == ["a-second"] * 2 + ["b-second"] * 2 + ["c-first"] * 2


def test_a_note_that_the_log_has_lost_stops_nothing(tmp_path: Path) -> None:
    lake = open_lake(str(tmp_path / "lake"))
    commit(lake, "first", "ab")
    commit(lake, "second", "a")
    noted = lake.table("transcripts").version()
    commit(lake, "third", "b")
    lake.table("transcripts").create_checkpoint()
    # As a clean-up of the log does that comes before the next publication.
    (tmp_path / "lake" / "transcripts" / "_delta_log" / f"{noted:020}.json").unlink()
    publish(lake)
    assert stored(lake)["transcripts"] == ["a-second", "b-third"]
    assert stored(lake)["segments"] == ["a-first"] * 2 + ["a-second"] * 2 + ["b-third"] * 2


@dataclass(frozen=True)
class Overtaken(Lake):
    """A lake in which another process replaces and deletes between two of our looks at tables."""

    others: list[str] = field(default_factory=list)

    def table_if_made(self, name: str) -> DeltaTable | None:
        if name == "segments" and self.others:
            other = Lake(self.uri)
            commit(other, self.others.pop(), "ab")
            delete_replaced(other)
        return super().table_if_made(name)


@pytest.mark.parametrize("others", [["second"], ["third", "second"]])
def test_a_reader_sees_no_transcript_without_its_segments(
    others: list[str], tmp_path: Path
) -> None:
    commit(open_lake(str(tmp_path / "lake")), "first", "ab")
    lake: Any = Overtaken(str(tmp_path / "lake"), others=list(others))
    with connect(lake) as connection:
        rows = connection.execute(
            """SELECT transcript_id, count(index) FROM transcripts
               LEFT JOIN segments USING (transcript_id) GROUP BY ALL ORDER BY ALL"""
        ).fetchall()
    assert lake.others == []
    assert rows == [(f"a-{others[0]}", 2), (f"b-{others[0]}", 2)]
