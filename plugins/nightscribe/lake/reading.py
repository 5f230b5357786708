"""Query a lake in SQL."""

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
    """Open an in-memory DuckDB connection with all views. Close it after use.

    The views show the tables as they are now. Since some queries come from people, a query can read
    the lake's files only, and cannot change the configuration.

    Args:
        memory_limit: of DuckDB, such as "300MB"; larger intermediate results are written to disk
        spill_to: folder for these; default: a new one in the temporary folder
    """
    connection = duckdb.connect()
    connection.execute("SET TimeZone = 'UTC'")
    # DuckDB's default is `.tmp` in the working folder. It creates and removes the folder itself.
    folder = spill_to or Path(tempfile.gettempdir(), f"nightscribe-duckdb-{uuid.uuid4().hex}")
    connection.execute(f"SET temp_directory = {_quoted(str(folder))}")
    if memory_limit is not None:
        connection.execute(f"SET memory_limit = {_quoted(memory_limit)}")
        # Every thread needs memory that DuckDB cannot spill: 16 threads do not fit into 256 MB.
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
    """Run a query that a person wrote. Returns its rows, or None for a statement without rows.

    Raises:
        ConfigurationError: the text is not one statement, or the statement writes files.
        duckdb.Error: the query fails.
    """
    statements = connection.extract_statements(text)
    if len(statements) != 1:
        raise ConfigurationError(f"{text!r} is {len(statements)} statements: give one")
    if statements[0].type.name in _WRITES:
        raise ConfigurationError(
            f"{text!r} writes files: use `nightscribe sql --output FILE`; only Nightscribe writes "
            "the lake's tables"
        )
    return connection.sql(text, params=parameters)


def read(lake: Lake, text: str, /, **parameters: Any) -> pa.Table:
    """Run one query over the views of `nightscribe.lake.views`. Returns its rows.

    Args:
        parameters: values for `$name` in the text

    Raises:
        ConfigurationError: the text is not one statement, writes files, or returns no rows.
        duckdb.Error: the query fails.
    """
    with connect(lake) as connection:
        relation = query(connection, text, parameters or None)
        if relation is None:
            raise ConfigurationError(f"{text!r} returns no rows: give a query")
        return relation.to_arrow_table()


def count_rows(lake: Lake, tables: Sequence[str] = ()) -> dict[str, int]:
    """Number of rows by table; by default of the five main tables."""
    tables = tables or ("recordings", "sources", "rejected", "transcripts", "segments")
    with connect(lake) as connection:
        counts = ", ".join(f"(SELECT count(*) FROM {name})" for name in tables)
        [row] = connection.execute(f"SELECT {counts}").fetchall()
    return dict(zip(tables, row, strict=True))


def _quoted(text: str) -> str:
    """The text as an SQL string, since SET takes no parameters."""
    return "'" + text.replace("'", "''") + "'"
