"""What a listing finds new, and the memory that it takes."""

from __future__ import annotations

import os
from pathlib import Path

import pyarrow as pa
import pytest

from nightscribe.lake.opening import open_lake
from nightscribe.lake.rows import rows_of
from nightscribe.lake.tables import Lake
from nightscribe.stages.new_files import LISTED, find_new
from nightscribe.uris import canonical_uri
from tools.measure_scan import measure

HOUR_NS = 3_600 * 10**9


@pytest.fixture
def archive(tmp_path: Path) -> Path:
    """Three files of two bytes, an empty one, and a manifest."""
    folder = tmp_path / "archive"
    folder.mkdir()
    for name in ("a.wav", "b.wav", "c.wav", "manifest.csv"):
        (folder / name).write_text("xx")
        os.utime(folder / name, ns=(HOUR_NS, HOUR_NS))
    (folder / "empty.wav").touch()
    return folder


@pytest.fixture
def lake(tmp_path: Path, archive: Path) -> Lake:
    """Knows `a.wav` as it is and `b.wav` as it was."""
    lake = open_lake(str(tmp_path / "lake"))
    known = [
        {
            "archive": canonical_uri(str(archive)),
            "member": member,
            "recording_id": member,
            "collection": canonical_uri(str(archive)),
            "position": 0,
            "size_bytes": 2,
            "version": version,
        }
        for member, version in (("a.wav", str(HOUR_NS)), ("b.wav", "1"))
    ]
    lake.append("sources", rows_of("sources", known, "run"))
    return lake


def test_listing_beside_the_lake_is_counted_and_given_in_order(lake: Lake, archive: Path) -> None:
    with find_new(lake, [str(archive)]) as found:
        assert (found.files, found.new_files, found.new_bytes, found.unusable) == (4, 2, 4, 1)
        fresh = pa.Table.from_batches(found.fresh())
        assert fresh.schema == LISTED
        assert fresh["member"].to_pylist() == ["b.wav", "c.wav"]
        [manifests] = found.manifests()
        assert manifests["member"].to_pylist() == ["manifest.csv"]


def test_database_of_a_listing_may_be_written_to_while_it_is_read(
    lake: Lake, archive: Path
) -> None:
    with find_new(lake, [str(archive)]) as found:
        rows = found.rows("FROM listed ORDER BY uri", batch_rows=1)
        first = next(rows)
        found.add("copies", pa.Table.from_batches([first]))
        for row in rows:
            found.add("copies", pa.Table.from_batches([row]))
        [copies] = found.rows("FROM copies ORDER BY uri")
        assert copies.num_rows == found.files


def test_scanning_many_known_files_takes_little_memory(tmp_path: Path) -> None:
    files = 600_000
    measure("--write-lake", tmp_path / "lake", files)
    scanned = measure("--scan", tmp_path / "lake", files)
    assert (scanned["files"], scanned["new_files"]) == (files, 0)
    assert scanned["peak_mb"] < 500
