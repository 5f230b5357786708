"""Run a person's query in this process: a page of its rows, or all of them into a file."""

from __future__ import annotations

import re
import time
from pathlib import Path
from typing import Any

import duckdb

from nightscribe.lake.connections import new_connection
from nightscribe.lake.reading import query
from nightscribe.web.console.limits import QueryLimits

__all__ = ["page_of", "write_csv", "write_parquet"]

_NUMBERS = {"TINYINT", "SMALLINT", "INTEGER", "BIGINT", "HUGEINT", "FLOAT", "DOUBLE", "DECIMAL"}
_NUMBERS |= {"UTINYINT", "USMALLINT", "UINTEGER", "UBIGINT", "UHUGEINT", "BIGNUM"}

_BATCH = 1_000  # rows that are in memory at a time

# A spreadsheet takes text that begins so for a formula and runs it.
_FORMULA = r"^\s*[=+\-@]|^[\t\r\n]"


def page_of(
    connection: duckdb.DuckDBPyConnection, text: str, offset: int, limits: QueryLimits
) -> dict[str, Any]:
    """Some rows of a result, as text, and how many it has. Raises as `query` does."""
    start = time.perf_counter()
    relation = query(connection, text)
    names, kinds = relation.columns, [str(kind) for kind in relation.types]
    if len(names) > limits.columns:
        raise ValueError(f"{len(names)} columns: a page shows {limits.columns}")
    is_plan = names == ["explain_key", "explain_value"]
    longest = 20 * limits.cell if is_plan else limits.cell
    most = limits.shown_rows
    shown = _columns(relation.limit(most + 1), f"left({{}}::VARCHAR, {longest})")
    count, rows = 0, []
    for batch in shown.to_arrow_reader(_BATCH):
        first, last = max(offset - count, 0), min(offset, most) + limits.page_rows - count
        if first < last:
            part = batch.slice(first, last - first)
            columns = [column.to_pylist() for column in part.columns]
            rows += [list(row) for row in zip(*columns, strict=True)]
        count += batch.num_rows
    return {
        "columns": [
            (name, kind, _is_number(kind)) for name, kind in zip(names, kinds, strict=True)
        ],
        "rows": rows[: max(most - offset, 0)],
        "count": min(count, most),
        "more": count > most,
        "plan": is_plan,
        "seconds": time.perf_counter() - start,
    }


def write_parquet(
    connection: duckdb.DuckDBPyConnection, text: str, path: Path, limits: QueryLimits
) -> None:
    """All rows of a result, with their types. Raises as `query` does."""
    relation = query(connection, text)
    cells = [
        f"c{place} AS {_quoted(name)}" for place, name in enumerate(_distinct(relation.columns))
    ]
    rows = _columns(relation.limit(limits.file_rows + 1), "{}")
    _copy(rows, cells, "FORMAT parquet, COMPRESSION zstd", path, limits)


def write_csv(
    connection: duckdb.DuckDBPyConnection, text: str, path: Path, limits: QueryLimits
) -> None:
    """All rows of a result, as text that no spreadsheet runs. Raises as `query` does."""
    relation = query(connection, text)
    cells = []
    for place, (name, kind) in enumerate(
        zip(_distinct(relation.columns), relation.types, strict=True)
    ):
        cell = f"c{place}" if _is_number(str(kind)) else _inert(f"c{place}")
        cells.append(f"{cell} AS {_quoted(_inert_name(name))}")
    rows = _columns(relation.limit(limits.file_rows + 1), "{}::VARCHAR")
    _copy(rows, cells, "FORMAT csv, HEADER", path, limits)


def _copy(
    rows: duckdb.DuckDBPyRelation, cells: list[str], options: str, path: Path, limits: QueryLimits
) -> None:
    """Write rows with another connection: the lake's connection must not write files."""
    with new_connection() as writer:
        writer.execute(f"SET memory_limit = '{limits.memory_mib // 2}MiB'")
        writer.execute("SET threads = 1")
        writer.register("result", rows.to_arrow_reader(_BATCH))
        [(count,)] = writer.execute(
            f"COPY (SELECT {', '.join(cells)} FROM result) TO $path ({options})",
            {"path": str(path)},
        ).fetchall()
    if count > limits.file_rows:
        raise ValueError(
            f"more than {limits.file_rows:,} rows: a download has no more; add LIMIT, or use "
            "`nightscribe sql` on the server"
        )


def _columns(relation: duckdb.DuckDBPyRelation, cell: str) -> duckdb.DuckDBPyRelation:
    """The rows with columns c0, c1 …, since names of a result may be equal. `{}` is a value."""
    places = range(len(relation.columns))
    return relation.project(
        ", ".join(f"{cell.format(f'#{place + 1}')} AS c{place}" for place in places)
    )


def _is_number(kind: str) -> bool:
    return kind.partition("(")[0] in _NUMBERS


def _distinct(names: list[str]) -> list[str]:
    """The names, with a number where an earlier one is equal but for its case."""
    seen: set[str] = set()
    found = []
    for name in names:
        free, number = name, 1
        while free.lower() in seen:
            free, number = f"{name}_{number}", number + 1
        seen.add(free.lower())
        found.append(free)
    return found


def _inert(column: str) -> str:
    is_formula = f"regexp_matches({column}, '{_FORMULA}')"
    return f"CASE WHEN {is_formula} THEN chr(39) || {column} ELSE {column} END"


def _inert_name(name: str) -> str:
    return f"'{name}" if re.search(_FORMULA, name) else name


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'
