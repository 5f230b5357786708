"""What the pages read is a moment old at most, and new where a page announces something new."""

from __future__ import annotations

from pathlib import Path

from nightscribe.errors import Reason
from nightscribe.lake.keys import KEYS
from nightscribe.lake.opening import open_lake
from nightscribe.lake.rows import rejected_row, rows_of
from nightscribe.lake.tables import Lake
from nightscribe.web.snapshot import Snapshots

COUNT = "SELECT count(*) AS rows FROM rejected"


def reject(lake: Lake, name: str) -> None:
    rows = [rejected_row(f"file:///{name}", Reason.EMPTY_FILE, "nothing in it")]
    lake.insert_new("rejected", rows_of("rejected", rows, "run"), KEYS["rejected"])


def test_what_was_announced_is_shown_at_once(tmp_path: Path) -> None:
    lake = open_lake(str(tmp_path / "lake"))
    snapshots = Snapshots(lambda: lake)
    reject(lake, "a.wav")
    assert snapshots.rows(COUNT) == snapshots.kept_rows(COUNT) == [{"rows": 1}]
    for number in range(2, 6):
        reject(lake, f"{number}.wav")
        snapshots.look_again()
        assert snapshots.rows(COUNT) == snapshots.kept_rows(COUNT) == [{"rows": number}]
