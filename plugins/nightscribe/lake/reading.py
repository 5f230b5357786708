"""Query a lake in SQL."""

from __future__ import annotations

import itertools
import re
import tempfile
import uuid
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import duckdb
import pyarrow as pa

from nightscribe.errors import ConfigurationError
from nightscribe.lake.connections import new_connection
from nightscribe.lake.damage import explains
from nightscribe.lake.read_only import ReadOnly
from nightscribe.lake.views import create_views

if TYPE_CHECKING:
    from nightscribe.lake.tables import Lake

__all__ = ["connect", "count_rows", "query", "read", "relation"]

# DuckDB may write below an allowed folder (COPY, EXPORT and ATTACH, also after EXPLAIN ANALYZE, and
# COPY as the body of a WITH). So only statements that are known to read are run.
_QUERY_WORDS = {"(", "describe", "from", "pivot", "select", "show", "summarize", "table", "unpivot"}
_QUERY_WORDS |= {"values", "with"}
"""First words of statements that return rows and write nothing."""

_RUN_TEXT = ("json_execute_serialized_sql", "external_resource")
"""In the names of functions that run a text as a statement, or a function whose name is a text."""

# DuckDB's parser takes these for spaces; its tokenizer does not.
_SPACES = dict.fromkeys([0xA0, *range(0x2000, 0x200E), 0x202F, 0x205F, 0x2060, 0x3000, 0xFEFF], " ")


def connect(
    lake: Lake,
    *,
    views: Iterable[str] | None = None,
    memory_limit: str | None = None,
    spill_to: str | Path | None = None,
    spill_limit: str | None = None,
) -> duckdb.DuckDBPyConnection:
    """Open an in-memory DuckDB connection with the lake's views. Close it after use.

    The views show the tables as they are now. Since some queries come from people, a query can read
    the lake's files only, and cannot change the configuration.

    Args:
        views: names of the views that are needed, by default all; each costs a few milliseconds,
            and in an object store some requests
        memory_limit: of DuckDB, such as "300MB"; larger intermediate results are written to disk
        spill_to: folder for these; default: a new one in the temporary folder
        spill_limit: size of that folder, such as "1GB"; a query that needs more fails
    """
    connection = new_connection()
    # DuckDB's default is `.tmp` in the working folder. It creates and removes the folder itself.
    folder = spill_to or Path(tempfile.gettempdir(), f"nightscribe-duckdb-{uuid.uuid4().hex}")
    connection.execute(f"SET temp_directory = {_quoted(str(folder))}")
    if spill_limit is not None:
        connection.execute(f"SET max_temp_directory_size = {_quoted(spill_limit)}")
    if memory_limit is not None:
        connection.execute(f"SET memory_limit = {_quoted(memory_limit)}")
        # Every thread needs memory that DuckDB cannot spill: 16 threads do not fit into 256 MB.
        connection.execute("SET threads = 2")
    if not lake.is_local:
        connection.register_filesystem(ReadOnly(lake.filesystem))
    connection.execute(f"SET allowed_directories = [{_quoted(lake.uri)}]")
    connection.execute("SET enable_external_access = false")
    connection.execute("SET lock_configuration = true")
    create_views(connection, lake, views)
    return connection


def query(
    connection: duckdb.DuckDBPyConnection, text: str, parameters: dict[str, Any] | None = None
) -> duckdb.DuckDBPyRelation:
    """Run a query that a person wrote. Returns its rows.

    Raises:
        ConfigurationError: the text is not UTF-8 or not one statement, or the statement is not a
            query.
        duckdb.Error: the query fails.
    """
    try:
        text.encode()
    except UnicodeEncodeError as error:  # of a shell's argument with other bytes
        raise ConfigurationError(f"{text!r} is not UTF-8 text: type the query again") from error
    statements = connection.extract_statements(text)
    if len(statements) != 1:
        raise ConfigurationError(f"{text!r} is {len(statements)} statements: give one")
    [statement] = statements
    if not _is_query(statement) or _runs_text(text) or _copies(connection, statement, parameters):
        raise ConfigurationError(
            f"{text!r} is not a query: give one that begins with SELECT, FROM, WITH, PIVOT, "
            "DESCRIBE, SHOW, SUMMARIZE or EXPLAIN (`nightscribe sql --output FILE` writes the rows "
            "to a file)"
        )
    return connection.sql(text, params=parameters)


def _is_query(statement: duckdb.Statement) -> bool:
    """Whether a statement returns rows and writes nothing."""
    # PIVOT becomes several statements (MULTI), and so does any statement that has one inside.
    if statement.type.name not in {"EXPLAIN", "MULTI"}:
        return statement.type.name == "SELECT"
    words = _words(statement.query)
    if words[0] == "explain":
        words = words[1:]
        if words[0] == "analyze":
            words = words[1:]
        elif words[0] == "(" and words[1] not in _QUERY_WORDS:
            words = words[words.index(")") + 1 :]  # options, such as (FORMAT json)
    return words[0] in _QUERY_WORDS


def _copies(
    connection: duckdb.DuckDBPyConnection,
    statement: duckdb.Statement,
    parameters: dict[str, Any] | None,
) -> bool:
    """Whether a query has a COPY, which may be the body of a WITH. Raises `duckdb.Error`."""
    text = statement.query
    if "copy" not in text.lower():
        return False
    if statement.type.name == "SELECT":
        # DuckDB has no COPY in a subquery, and DESCRIBE runs nothing.
        try:
            nested = f"DESCRIBE FROM ({text.rstrip().removesuffix(';')}\n)"
            connection.execute(nested, parameters).fetchall()
        except duckdb.BinderException as error:
            if "COPY statement" in str(error):
                return True
            raise
        return False
    words = _words(text)
    return any(pair == ("(", "copy") for pair in itertools.pairwise(words))


def _runs_text(text: str) -> bool:
    """Whether a query calls a function that runs a text, which may be a statement that writes."""
    if any(name in text.lower() for name in _RUN_TEXT):
        return True
    # Its text may call one of the others by a name that is put together.
    words = [word.strip('"') for word in _words(text)]
    return any(pair == ("query", "(") for pair in itertools.pairwise(words))


def _words(text: str) -> list[str]:
    """The tokens of a statement in lower case, without comments."""
    text = text.translate(_SPACES)
    encoded = text.encode()  # the tokens' positions are in bytes
    tokens = duckdb.tokenize(text)
    ends = [start for start, _ in tokens[1:]] + [len(encoded)]
    return [
        encoded[start:end].decode().strip().lower()
        for (start, kind), end in zip(tokens, ends, strict=True)
        if kind.name != "comment"
    ]


@explains
def read(lake: Lake, text: str, /, **parameters: Any) -> pa.Table:
    """Run one query over the views of `nightscribe.lake.views`. Returns its rows.

    Args:
        parameters: values for `$name` in the text

    Raises:
        ConfigurationError: the text is not one statement, or the statement is not a query.
        duckdb.Error: the query fails.
    """
    with connect(lake, views=_names_in(text)) as connection:
        return query(connection, text, parameters or None).to_arrow_table()


@explains
def relation(
    lake: Lake, text: str, parameters: dict[str, Any] | None = None
) -> duckdb.DuckDBPyRelation:
    """Like `read`, but returns a relation, which keeps its connection and reads when it is used."""
    connection = connect(lake, views=_names_in(text))
    try:
        return query(connection, text, parameters)
    except BaseException:
        connection.close()
        raise


def _names_in(text: str) -> list[str]:
    """The words of a query, some of which may be views; a parameter may be called like one."""
    return re.findall(r"(?<![$\w])\w+", text)


@explains
def count_rows(lake: Lake, tables: Sequence[str] = ()) -> dict[str, int]:
    """Number of rows by table; by default of the five main tables."""
    tables = tables or ("recordings", "sources", "rejected", "transcripts", "segments")
    with connect(lake, views=tables) as connection:
        counts = ", ".join(f"(SELECT count(*) FROM {name})" for name in tables)
        [row] = connection.execute(f"SELECT {counts}").fetchall()
    return dict(zip(tables, row, strict=True))


def _quoted(text: str) -> str:
    """The text as an SQL string, since SET takes no parameters."""
    return "'" + text.replace("'", "''") + "'"
