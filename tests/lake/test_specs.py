"""Specs are written whole or not at all, and looking for one creates nothing."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa
import pytest

from nightscribe.errors import LakeError
from nightscribe.lake.opening import open_lake
from nightscribe.lake.specs import has_spec, read_spec, write_spec
from nightscribe.lake.tables import Lake

ROWS = pa.table({"name": ["ä", "b", None], "size": [1, 2, 3]})


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    return open_lake(str(tmp_path / "lake"))


def entries(lake: Lake) -> list[Path]:
    return sorted(Path(lake.uri).rglob("*"))


def test_rows_come_back_and_a_second_write_replaces_them(lake: Lake) -> None:
    for rows in (ROWS, ROWS.slice(1)):
        assert write_spec(lake, "_runs/one/rows.parquet", rows) == "_runs/one/rows.parquet"
        assert has_spec(lake, "_runs/one/rows.parquet")
        assert read_spec(lake, "_runs/one/rows.parquet").equals(rows)
    assert [path.name for path in Path(lake.uri, "_runs/one").iterdir()] == ["rows.parquet"]


def test_a_spec_whose_rows_end_in_an_error_does_not_appear(lake: Lake) -> None:
    def batches() -> Iterator[pa.RecordBatch]:
        yield from ROWS.to_batches()
        raise MemoryError("no more rows")

    reader = pa.RecordBatchReader.from_batches(ROWS.schema, batches())
    with pytest.raises(MemoryError, match="no more rows"):
        write_spec(lake, "_runs/one/rows.parquet", reader)
    assert list(Path(lake.uri, "_runs/one").iterdir()) == []
    assert not has_spec(lake, "_runs/one/rows.parquet")


def test_looking_for_a_missing_spec_creates_no_folder(lake: Lake) -> None:
    before = entries(lake)
    assert not has_spec(lake, "_runs/two/rows.parquet")
    with pytest.raises(LakeError, match="start a new run"):
        read_spec(lake, "_runs/two/rows.parquet")
    assert entries(lake) == before
