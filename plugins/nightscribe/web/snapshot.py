"""The lake as the pages read it: one DuckDB connection, renewed when the tables have changed."""

from __future__ import annotations

import math
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import duckdb
import pyarrow as pa

from nightscribe.lake.reading import connect
from nightscribe.lake.tables import Lake

__all__ = ["Snapshots"]

_FRESH_S = 2.0  # the tables' versions are looked up after this time
_MEMORY = "1GB"
_KEPT = 256  # results
_AT_ONCE = 4  # queries; each may need a part of the memory, and there are few cores


class Snapshots:
    """Cursors over the newest state of the lake. All tables of a cursor are of the same moment."""

    def __init__(self, lake: Callable[[], Lake]) -> None:
        self._open = lake
        self._lock = threading.Lock()
        self._turns = threading.BoundedSemaphore(_AT_ONCE)
        self._lake: Lake | None = None
        self._connection: duckdb.DuckDBPyConnection | None = None
        self._versions: dict[str, int] = {}
        self._checked = -math.inf
        self._kept: OrderedDict[str, Any] = OrderedDict()

    @property
    def lake(self) -> Lake:
        """The lake. Raises `NightscribeError` if it cannot be opened."""
        if self._lake is None:
            self._lake = self._open()
        return self._lake

    def look_again(self) -> None:
        """Look at the tables at the next query, even if that was done a moment ago."""
        with self._lock:
            self._checked = -math.inf

    @contextmanager
    def cursor(self) -> Iterator[duckdb.DuckDBPyConnection]:
        """A cursor with the lake's views, when its turn comes. Raises `NightscribeError`."""
        with self._turns:
            with self._lock:
                cursor = self._current().cursor()
            try:
                yield cursor
            finally:
                cursor.close()

    def rows(self, query: str, parameters: Any = None, **named: pa.Table) -> list[dict[str, Any]]:
        """The rows of a query. It may read the tables that are `named`, too."""
        found: list[dict[str, Any]] = self._table(query, parameters, named).to_pylist()
        return found

    def kept_rows(
        self, query: str, parameters: Any = None, **named: pa.Table
    ) -> list[dict[str, Any]]:
        """Like `rows`, for counts over whole tables: kept until the tables change."""
        found: list[dict[str, Any]] = self.kept(
            f"{query}\0{parameters!r}", lambda: self.rows(query, parameters, **named)
        )
        return found

    def kept_table(self, query: str) -> pa.Table:
        """The result of a query without parameters, kept until the tables change."""
        return self.kept(f"table {query}", lambda: self._table(query, None, {}))

    def _table(self, query: str, parameters: Any, named: Mapping[str, pa.Table]) -> pa.Table:
        try:
            return self._read(query, parameters, named)
        except duckdb.IOException:  # forgetting removes the files of older versions
            self.look_again()
            return self._read(query, parameters, named)

    def _read(self, query: str, parameters: Any, named: Mapping[str, pa.Table]) -> pa.Table:
        with self.cursor() as cursor:
            for name, table in named.items():
                cursor.register(name, table)
            return cursor.sql(query, params=parameters or []).to_arrow_table()

    def kept(self, key: str, make: Callable[[], Any]) -> Any:
        """What `make` returns, under a key: kept until the tables change."""
        with self._lock:
            self._current()
            if key in self._kept:
                return self._kept[key]
            kept = self._kept
        found = make()
        with self._lock:
            # If the tables have changed meanwhile, this goes to what nobody reads any more.
            kept[key] = found
            while len(kept) > _KEPT:
                kept.popitem(last=False)
        return found

    def _current(self) -> duckdb.DuckDBPyConnection:
        now = time.monotonic()
        if self._connection is not None and now - self._checked < _FRESH_S:
            return self._connection
        versions = self.lake.versions()
        if self._connection is None or versions != self._versions:
            # The old connection lives until its last cursor is closed.
            self._connection = connect(self.lake, memory_limit=_MEMORY)
            self._versions = versions
            self._kept = OrderedDict()
        self._checked = now
        return self._connection
