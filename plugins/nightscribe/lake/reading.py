"""Read a lake in SQL."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import duckdb
import pyarrow as pa

from nightscribe.lake.tables import Lake
from nightscribe.lake.views import create_views

__all__ = ["connect", "count_rows", "read"]


def connect(lake: Lake) -> duckdb.DuckDBPyConnection:
    """An in-memory DuckDB connection with every view, of this moment. Close it after use."""
    connection = duckdb.connect()
    connection.execute("SET TimeZone = 'UTC'")
    if not lake.is_local:
        connection.register_filesystem(lake.filesystem)
    create_views(connection, lake)
    return connection


def read(lake: Lake, query: str, **parameters: Any) -> pa.Table:
    """Run SQL over the lake's views (see `nightscribe.lake.views`); rows as Arrow."""
    with connect(lake) as connection:
        return connection.sql(query, params=parameters or None).to_arrow_table()


def count_rows(lake: Lake, tables: Sequence[str] = ()) -> dict[str, int]:
    """Rows in the lake's tables, by name; of the usual ones if none is named."""
    tables = tables or ("recordings", "sources", "rejected", "transcripts", "segments")
    with connect(lake) as connection:
        query = "SELECT " + ", ".join(f"(SELECT count(*) FROM {name})" for name in tables)
        [row] = connection.execute(query).fetchall()
    return dict(zip(tables, row, strict=True))
