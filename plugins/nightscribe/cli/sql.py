"""Query the lake in SQL.

A query is one statement in DuckDB's SQL over the views. It reads the lake and no other file.

examples:
  nightscribe sql "SELECT language, sum(duration_s) / 3600 AS hours FROM transcripts GROUP BY ALL"
  nightscribe sql "SELECT member, start_s, text FROM search WHERE text ILIKE '%lighthouse%'"
  nightscribe sql --format csv "FROM rejected" > rejected.csv
  nightscribe sql "SHOW TABLES"
"""

from __future__ import annotations

import argparse
import re
import shutil
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from nightscribe.cli.arguments import add_lake, lake_of
from nightscribe.errors import ConfigurationError, LakeError, NightscribeError
from nightscribe.whole_file import whole_file

if TYPE_CHECKING:
    import pyarrow as pa


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the query, the lake and the format."""
    add_lake(parser)
    parser.add_argument(
        "--format",
        choices=["table", "csv", "json", "parquet"],
        default="table",
        help="format of the rows (default: %(default)s)",
    )
    parser.add_argument(
        "--output", "-o", type=Path, metavar="FILE", help="file to write (default: standard output)"
    )
    parser.add_argument(
        "query", metavar="QUERY", help="one SQL query; `SHOW TABLES` lists the views"
    )


def execute(arguments: argparse.Namespace) -> int:
    """Run the query; print or write its rows."""
    import duckdb

    from nightscribe.lake.damage import fault_in
    from nightscribe.lake.reading import connect, query

    if arguments.output is None and arguments.format == "parquet" and sys.stdout.isatty():
        raise ConfigurationError(
            "--format parquet: a terminal cannot show it: give --output FILE, or another format"
        )
    if arguments.output is not None and arguments.format == "table":
        raise ConfigurationError(
            "--output: format table is for terminals: give --format csv, json or parquet"
        )
    lake = lake_of(arguments)
    with connect(lake) as connection:
        try:
            relation = query(connection, arguments.query)
            if arguments.format == "table":
                on_terminal = sys.stdout.isatty()
                width = shutil.get_terminal_size().columns if on_terminal else 10_000
                relation.show(max_rows=100_000, max_width=width)
                return 0
            rows = relation.to_arrow_table()
            with tempfile.TemporaryDirectory(prefix="nightscribe-sql-") as folder:
                if arguments.output is not None:
                    with whole_file(arguments.output) as path:
                        _write(rows, path, arguments.format)
                    return 0
                path = Path(folder) / "result"
                _write(rows, path, arguments.format)
                with path.open("rb") as file:
                    shutil.copyfileobj(file, sys.stdout.buffer)
                sys.stdout.buffer.flush()
        except duckdb.Error as error:
            fault = fault_in(error, lake)
            # DuckDB has one class for a wrong call and a damaged file; its text of a wrong query
            # points at the place.
            ambiguous = isinstance(error, duckdb.ProgrammingError)
            if isinstance(fault, LakeError) or (fault is not None and not ambiguous):
                raise fault from error
            raise NightscribeError(f"the query failed: {error}") from error
    return 0


def _write(rows: pa.Table, path: Path, fmt: str) -> None:
    """Write rows to a file. Uses another connection: the lake's connection must not write files."""
    from nightscribe.lake.connections import new_connection

    # It writes rows that are in memory as a stream, so it spills nothing.
    with new_connection() as connection:
        connection.register("result", rows)
        connection.execute(f"COPY result TO $path ({_COPY_OPTIONS[fmt]})", {"path": str(path)})
    if fmt == "json":
        _drop_constants(path)


_NOT_JSON = re.compile(rb'"(?:[^"\\]|\\.)*"|-?Infinity|NaN')
"""Strings, which are kept, and what DuckDB writes for numbers that JSON does not have."""


def _drop_constants(path: Path) -> None:
    """Write null for NaN and infinity, which JSON does not have. DuckDB writes a line per row."""
    with path.open("rb") as rows:
        if not any(b"NaN" in row or b"Infinity" in row for row in rows):
            return
        with whole_file(path) as other, other.open("wb") as file:
            rows.seek(0)
            for row in rows:
                file.write(_NOT_JSON.sub(lambda m: m[0] if m[0][:1] == b'"' else b"null", row))


_COPY_OPTIONS = {
    "csv": "FORMAT csv, HEADER",
    "json": "FORMAT json, ARRAY true",
    "parquet": "FORMAT parquet, COMPRESSION zstd",
}
