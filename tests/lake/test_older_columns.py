"""Columns that a table of an older lake lacks are null there, and are added once."""

from __future__ import annotations

import shutil
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pytest

from nightscribe.lake.keys import KEYS
from nightscribe.lake.opening import open_lake, open_to_read
from nightscribe.lake.reading import read
from nightscribe.lake.rows import rows_of
from nightscribe.lake.schema import ADDED_COLUMNS, SCHEMAS
from nightscribe.lake.tables import Lake
from tests.unprivileged import unprivileged

OLDER = Path(__file__).parents[1] / "fixtures" / "lake_of_0_1_0" / "lake"
COLUMNS = [(table, name) for table, names in ADDED_COLUMNS.items() for name in sorted(names)]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return Path(shutil.copytree(OLDER, tmp_path / "lake"))


def columns_of(lake: Lake, table: str) -> set[str]:
    return {field.name for field in lake.table(table).schema().fields}


def reference(**changes: Any) -> pa.Table:
    row = {
        "recording_id": "new",
        "task": "transcribe",
        "dataset": "d",
        "language": "zh",
        "variety": "zh-TW",
        "text": "你好",
    }
    return rows_of("reference_texts", [{**row, **changes}], "run")


@pytest.mark.parametrize(("table", "name"), COLUMNS)
def test_added_columns_can_be_null_and_are_no_keys(table: str, name: str) -> None:
    assert SCHEMAS[table].field(name).nullable
    assert name not in KEYS.get(table, ())


@pytest.mark.parametrize(("table", "name"), COLUMNS)
def test_a_lake_that_lacks_a_column_shows_nulls_and_is_not_changed(
    folder: Path, table: str, name: str
) -> None:
    lake = open_to_read(str(folder))
    before = sorted(folder.rglob("*"))
    rows = read(lake, f'FROM "{table}"')
    assert rows.column_names == SCHEMAS[table].names
    assert rows[name].null_count == rows.num_rows
    assert sorted(folder.rglob("*")) == before


def test_opening_adds_each_column_once(folder: Path) -> None:
    lake = open_lake(str(folder))
    versions = {table: lake.table(table).version() for table in SCHEMAS}
    for table, name in COLUMNS:
        assert name in columns_of(lake, table)
    open_lake(str(folder))
    assert {table: lake.table(table).version() for table in SCHEMAS} == versions


def test_a_new_lake_has_the_columns_in_its_first_version(tmp_path: Path) -> None:
    lake = open_lake(str(tmp_path / "lake"))
    assert {lake.table(table).version() for table in ADDED_COLUMNS} == {0}
    assert all(name in columns_of(lake, table) for table, name in COLUMNS)


def test_rows_with_the_column_stand_beside_rows_without_it(folder: Path) -> None:
    lake = open_lake(str(folder))
    before = read(lake, "FROM reference_texts")
    lake.insert_new("reference_texts", reference(), KEYS["reference_texts"])
    lake.upsert("reference_texts", reference(variety="zh-HK"), KEYS["reference_texts"])
    lake.append("reference_texts", reference(recording_id="other", variety=None))
    after = read(lake, "FROM reference_texts")
    is_new = pc.is_in(after["recording_id"], pa.array(["new", "other"]))
    order = [("recording_id", "ascending"), ("task", "ascending")]
    assert after.filter(pc.invert(is_new)).sort_by(order) == before.sort_by(order)
    added = after.filter(is_new).sort_by(order).to_pylist()
    assert [(row["recording_id"], row["variety"]) for row in added] == [
        ("new", "zh-HK"),
        ("other", None),
    ]


def test_an_older_row_gets_a_value_by_the_next_upsert(folder: Path) -> None:
    lake = open_lake(str(folder))
    older = read(lake, "FROM reference_texts WHERE language = 'de' ORDER BY ALL LIMIT 1")
    [row] = older.to_pylist()
    lake.upsert(
        "reference_texts", reference(**{**row, "variety": "de-AT"}), KEYS["reference_texts"]
    )
    found = read(lake, "FROM reference_texts")
    assert found.num_rows == 20
    assert found.filter(pc.is_valid(found["variety"])).drop_columns("variety").to_pylist() == [
        {name: value for name, value in row.items() if name != "variety"}
    ]


def test_processes_that_open_an_older_lake_at_once_add_its_columns_together(folder: Path) -> None:
    with ThreadPoolExecutor(8) as pool:
        lakes = list(pool.map(open_lake, [str(folder)] * 8))
    for table, name in COLUMNS:
        assert name in columns_of(lakes[0], table)
        assert read(lakes[0], f'SELECT count("{name}") AS n FROM "{table}"')["n"].to_pylist() == [0]


_READ = """
import sys
from nightscribe.lake.opening import open_lake
from nightscribe.lake.reading import read
lake = open_lake(sys.argv[1])
print(read(lake, "SELECT count(*) AS n FROM reference_texts WHERE variety IS NULL")["n"][0])
"""


def test_who_may_only_read_an_older_lake_can_read_it(folder: Path) -> None:
    places = [folder, *(path for path in folder.rglob("*") if path.is_dir())]
    for place in places:
        place.chmod(0o555)
    try:
        assert unprivileged(_READ, str(folder)) == ["20"]
    finally:
        for place in places:
            place.chmod(0o755)
