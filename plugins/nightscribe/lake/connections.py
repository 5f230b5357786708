"""New connections to DuckDB, as all of Nightscribe uses them."""

from __future__ import annotations

import duckdb

from nightscribe.interruption import interruptible

__all__ = ["new_connection"]


def new_connection() -> duckdb.DuckDBPyConnection:
    """An empty in-memory database in UTC, whose queries a signal ends. Close it after use.

    It shows no progress bar: DuckDB prints it among the rows on standard output, whoever reads
    them. The bar is only switched off where it is on. In a Jupyter kernel without ipywidgets it is
    off, and DuckDB refuses to touch it.
    """
    connection = interruptible(duckdb.connect())
    connection.execute("SET TimeZone = 'UTC'")
    [(shown,)] = connection.execute("SELECT current_setting('enable_progress_bar')").fetchall()
    if shown:
        connection.execute("SET enable_progress_bar = false")
    return connection
