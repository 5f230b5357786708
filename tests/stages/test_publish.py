"""The catalog that stays in the lake is the newest one, whoever else publishes."""

from __future__ import annotations

import re
import shutil
import struct
from dataclasses import dataclass, field
from pathlib import Path

import duckdb
import pytest

from nightscribe.errors import Reason
from nightscribe.lake.opening import open_lake
from nightscribe.lake.published import PUBLISHED
from nightscribe.lake.rows import rejected_row, rows_of
from nightscribe.lake.tables import Lake
from nightscribe.lake.views import ROOT
from nightscribe.stages.publish import CATALOG, publish


def note(lake: Lake, uri: str) -> None:
    """Commit a row."""
    row = rejected_row(uri, Reason.EMPTY_FILE, "no bytes")
    lake.append("rejected", rows_of("rejected", [row], "run"))


def published(lake: Lake) -> set[str]:
    """What the catalog in the lake shows."""
    with duckdb.connect(f"{lake.uri}/{CATALOG}", read_only=True) as connection:
        return {uri for (uri,) in connection.execute("SELECT uri FROM rejected").fetchall()}


@dataclass(frozen=True)
class Overtaken(Lake):
    """A lake in which others commit and publish just before each of our first files is stored."""

    others: list[str] = field(default_factory=list)

    def put_file(self, path: str, data: bytes) -> str:
        if self.others:
            other = Lake(self.uri)
            note(other, self.others.pop())
            publish(other)
        return super().put_file(path, data)


def test_two_publishes_at_once_leave_the_newer_catalog(tmp_path: Path) -> None:
    open_lake(str(tmp_path / "lake"))
    lake = Overtaken(str(tmp_path / "lake"), others=["third", "second"])
    note(lake, "first")
    publish(lake)
    assert lake.others == []
    assert published(lake) == {"first", "second", "third"}


def test_a_catalog_is_one_that_duckdb_1_opens(tmp_path: Path) -> None:
    lake = open_lake(str(tmp_path / "lake"))
    publish(lake)
    head = (tmp_path / "lake" / CATALOG).read_bytes()[:20]
    # Behind a checksum: `DUCK` and the storage version, of which 64 is that of 1.0.
    assert struct.unpack("<8x4sQ", head) == (b"DUCK", 64)
    with duckdb.connect(str(tmp_path / "lake" / CATALOG), read_only=True) as connection:
        texts = connection.execute("SELECT sql FROM duckdb_views() WHERE NOT internal").fetchall()
    for (text,) in texts:
        # Functions and syntax that only DuckDB 2 has.
        assert not re.search(r"(?i)[^a-z_]if\s*\(|\blambda\b", text), text


def test_the_catalog_of_a_copied_lake_reads_the_copy(tmp_path: Path) -> None:
    lake = open_lake(str(tmp_path / "it's a lake"))
    note(lake, "first")
    publish(lake)
    copy = tmp_path / "copy"
    shutil.copytree(lake.uri, copy)
    for path in (tmp_path / "it's a lake" / "rejected").glob("*.parquet"):
        path.unlink()
    with duckdb.connect(str(copy / CATALOG), read_only=True) as connection:
        with pytest.raises(duckdb.IOException):
            connection.execute("FROM rejected").fetchall()
        connection.execute(f"SET VARIABLE {ROOT} = '{copy}'")
        assert connection.execute("SELECT uri FROM rejected").fetchall() == [("first",)]


def test_a_catalog_is_written_once_where_nobody_else_commits(tmp_path: Path) -> None:
    written: list[str] = []

    @dataclass(frozen=True)
    class Watched(Lake):
        def put_file(self, path: str, data: bytes) -> str:
            written.append(path)
            return super().put_file(path, data)

    open_lake(str(tmp_path / "lake"))
    publish(Watched(str(tmp_path / "lake")))
    assert written == [CATALOG, PUBLISHED]
