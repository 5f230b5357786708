"""Run a person's query in this process: a page of its rows, or all of them into a file."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import duckdb

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
    cells = ", ".join(
        f"left({_named(place)}::VARCHAR, {longest})" for place in range(len(names))
    )
    most = limits.shown_rows
    shown = _plainly_named(relation.limit(most + 1)).project(cells)
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
            (name, kind, kind.partition("(")[0] in _NUMBERS)
            for name, kind in zip(names, kinds, strict=True)
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
    plain = _plainly_named(relation.limit(limits.file_rows + 1))
    cells = [
        f"{_named(place)} AS {_quoted(name)}"
        for place, name in enumerate(_distinct(relation.columns))
    ]
    _copy(plain, cells, "FORMAT parquet, COMPRESSION zstd", path, limits)


def write_csv(
    connection: duckdb.DuckDBPyConnection, text: str, path: Path, limits: QueryLimits
) -> None:
    """All rows of a result, as text that no spreadsheet runs. Raises as `query` does."""
    relation = query(connection, text)
    kinds = [str(kind).partition("(")[0] for kind in relation.types]
    plain = _plainly_named(relation.limit(limits.file_rows + 1))
    texts = ", ".join(f"{_named(place)}::VARCHAR AS {_named(place)}" for place in range(len(kinds)))
    cells = [
        f"{_named(place) if kind in _NUMBERS else _inert(_named(place))} AS {_quoted(_safe(name))}"
        for place, (kind, name) in enumerate(zip(kinds, _distinct(relation.columns), strict=True))
    ]
    _copy(plain.project(texts), cells, "FORMAT csv, HEADER", path, limits)


def _copy(
    rows: duckdb.DuckDBPyRelation, cells: list[str], options: str, path: Path, limits: QueryLimits
) -> None:
    """Write rows with another connection: the lake's connection must not write files."""
    with duckdb.connect() as writer:
        writer.execute("SET TimeZone = 'UTC'")
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


def _plainly_named(relation: duckdb.DuckDBPyRelation) -> duckdb.DuckDBPyRelation:
    """The same rows with columns c0, c1 …: names of a result may be equal."""
    names = ", ".join(f"c{place}" for place in range(len(relation.columns)))
    return relation.query("result", f"SELECT * FROM result AS result({names})")


def _named(place: int) -> str:
    return f"c{place}"


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
    return f"CASE WHEN regexp_matches({column}, '{_FORMULA}') THEN '''' || {column} ELSE {column} END"


def _safe(name: str) -> str:
    return f"'{name}" if name[:1] in "=+-@\t\r\n " and name else name


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'
