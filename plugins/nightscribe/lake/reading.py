"""Read a lake in SQL."""

from __future__ import annotations

import tempfile
import uuid
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa

from nightscribe.errors import ConfigurationError
from nightscribe.lake.tables import Lake
from nightscribe.lake.views import create_views

__all__ = ["connect", "count_rows", "query", "read"]

_WRITES = {"COPY", "COPY_DATABASE", "EXPORT"}
"""Types of statements that write files."""


def connect(
    lake: Lake, *, memory_limit: str | None = None, spill_to: str | Path | None = None
) -> duckdb.DuckDBPyConnection:
    """An in-memory DuckDB connection with every view, of this moment. Close it after use.

    Queries can read the lake's files and no others, and cannot change the configuration: some
    come from people. `memory_limit` (such as "300MB") is DuckDB's own; beyond it, queries spill
    into the folder `spill_to`, or into one of their own in the temporary folder.
    """
    connection = duckdb.connect()
    connection.execute("SET TimeZone = 'UTC'")
    # DuckDB's default is `.tmp` in the working folder. It makes and removes the folder itself.
    folder = spill_to or Path(tempfile.gettempdir(), f"nightscribe-duckdb-{uuid.uuid4().hex}")
    connection.execute(f"SET temp_directory = {_quoted(str(folder))}")
    if memory_limit is not None:
        connection.execute(f"SET memory_limit = {_quoted(memory_limit)}")
        # Each thread needs memory that cannot be spilled: 16 threads do not fit into 256 MB.
        connection.execute("SET threads = 2")
    if not lake.is_local:
        connection.register_filesystem(lake.filesystem)
    connection.execute(f"SET allowed_directories = [{_quoted(lake.uri)}]")
    connection.execute("SET enable_external_access = false")
    connection.execute("SET lock_configuration = true")
    create_views(connection, lake)
    return connection


def query(
    connection: duckdb.DuckDBPyConnection, text: str, parameters: dict[str, Any] | None = None
) -> duckdb.DuckDBPyRelation | None:
    """The rows of a query that a person wrote; None for a statement that has no rows.

    Raises:
        ConfigurationError: the text is not one statement, or writes files.
        duckdb.Error: the query is wrong.
    """
    statements = connection.extract_statements(text)
    if len(statements) != 1:
        raise ConfigurationError(f"{text!r} is {len(statements)} statements: give one")
    if statements[0].type.name in _WRITES:
        raise ConfigurationError(
            f"{text!r} writes files: `nightscribe sql --output FILE` does, and the lake's tables "
            "are written by Nightscribe alone"
        )
    return connection.sql(text, params=parameters)


def read(lake: Lake, text: str, /, **parameters: Any) -> pa.Table:
    """Run one query over the lake's views (see `nightscribe.lake.views`); rows as Arrow.

    Raises what `query` raises, and `ConfigurationError` for a statement that has no rows.
    """
    with connect(lake) as connection:
        found = query(connection, text, parameters or None)
        if found is None:
            raise ConfigurationError(f"{text!r} gives no rows: give a query")
        return found.to_arrow_table()


def count_rows(lake: Lake, tables: Sequence[str] = ()) -> dict[str, int]:
    """Rows in the lake's tables, by name; of the usual ones if none is named."""
    tables = tables or ("recordings", "sources", "rejected", "transcripts", "segments")
    with connect(lake) as connection:
        counts = ", ".join(f"(SELECT count(*) FROM {name})" for name in tables)
        [row] = connection.execute(f"SELECT {counts}").fetchall()
    return dict(zip(tables, row, strict=True))


def _quoted(text: str) -> str:
    """An SQL string: settings take no parameters."""
    return "'" + text.replace("'", "''") + "'"
