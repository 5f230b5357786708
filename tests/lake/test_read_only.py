"""DuckDB reads an object store, and cannot write to it."""

from __future__ import annotations

import duckdb
import fsspec
import pytest

from nightscribe.lake.read_only import ReadOnly


def test_files_are_read_and_never_written() -> None:
    store = fsspec.filesystem("memory")
    with duckdb.connect() as writer:
        writer.register_filesystem(store)
        writer.execute("COPY (SELECT 7 AS x) TO 'memory://lake/a.parquet'")
    before = store.find("lake")
    with duckdb.connect() as connection:
        connection.register_filesystem(ReadOnly(store))
        read = "SELECT x FROM read_parquet('memory://lake/{}')"
        assert connection.execute(read.format("a.parquet")).fetchall() == [(7,)]
        assert connection.execute(read.format("*.parquet")).fetchall() == [(7,)]
        for name in ("a.parquet", "b.parquet", "b.csv"):
            with pytest.raises((duckdb.Error, PermissionError), match="only read"):
                connection.execute(f"COPY (SELECT 8 AS x) TO 'memory://lake/{name}'")
        assert connection.execute(read.format("a.parquet")).fetchall() == [(7,)]
    assert store.find("lake") == before
