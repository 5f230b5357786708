"""`lake.sql` gives a relation that can be converted, filtered and kept, and that only reads."""

from __future__ import annotations

import gc
from pathlib import Path

import duckdb
import pytest

from nightscribe.errors import ConfigurationError
from nightscribe.lake.opening import open_lake
from nightscribe.lake.tables import Lake
from tests.lake.made_up import add, attempt, transcript


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    return open_lake(str(tmp_path / "lake"))


def test_a_relation_is_converted_and_refined(lake: Lake) -> None:
    numbers = lake.sql("SELECT i, $word AS word FROM range(4) AS t(i)", word="night")
    assert numbers.columns == ["i", "word"]
    assert numbers.filter("i > 1").fetchall() == [(2, "night"), (3, "night")]
    assert numbers.to_arrow_table().to_pylist()[0] == {"i": 0, "word": "night"}
    assert list(numbers.df()["i"]) == [0, 1, 2, 3]


def test_a_relation_lives_without_its_connection_or_the_lake(lake: Lake) -> None:
    counted = open_lake(lake.uri).sql("SELECT count(*) FROM recordings")
    gc.collect()
    assert counted.fetchall() == counted.fetchall() == [(0,)]


def test_a_relation_shows_the_lake_as_it_was(lake: Lake) -> None:
    before = lake.sql("SELECT transcript_id FROM transcripts")
    add(lake, "batches", attempt("attempt of a", 1))
    add(lake, "transcripts", transcript("a"))
    assert before.fetchall() == []
    assert lake.sql("SELECT transcript_id FROM transcripts").fetchall() == [("a",)]


def test_a_relation_only_reads_and_only_the_lake(lake: Lake, tmp_path: Path) -> None:
    (tmp_path / "outside.csv").write_text("a\n1\n")
    for text in ("DROP VIEW segments", "SELECT 1; SELECT 2", "COPY segments TO 'x.csv'"):
        with pytest.raises(ConfigurationError):
            lake.sql(text)
    with pytest.raises(duckdb.PermissionException):
        lake.sql(f"FROM '{tmp_path}/outside.csv'")
    with pytest.raises(duckdb.PermissionException):
        lake.sql("SELECT 1 AS one").write_csv(str(tmp_path / "written.csv"))
    assert not (tmp_path / "written.csv").exists()
