"""Takes queries of people, a few at a time."""

from __future__ import annotations

import asyncio
import os
import threading
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any, BinaryIO

from nightscribe.lake.tables import Lake
from nightscribe.web.console.answers import QueryFailed, Rows
from nightscribe.web.console.limits import QueryLimits
from nightscribe.web.console.supervising import supervise

__all__ = ["Console", "Download"]

_CHUNK = 1 << 18


class Console:
    """Runs queries of people, each in a process of its own."""

    def __init__(self, lake: Callable[[], Lake], limits: QueryLimits) -> None:
        self.limits = limits
        self._open = lake
        self._lock = threading.Lock()
        self._taken = {"query": 0, "file": 0}

    async def rows(
        self, text: str, offset: int, until_gone: Callable[[], Coroutine[Any, Any, None]]
    ) -> Rows:
        """A page of the rows of a query. It is stopped when `until_gone` returns.

        Raises:
            QueryFailed: the query failed or reached a limit, or too many others run.
            NightscribeError: the lake cannot be opened, or the temporary folder is full.
        """
        with self._place("query"):
            rows = await self._run(text, "page", offset, until_gone)
        assert isinstance(rows, Rows)
        return rows

    async def download(
        self, text: str, form: str, until_gone: Callable[[], Coroutine[Any, Any, None]]
    ) -> Download:
        """All rows of a query as a file (`csv` or `parquet`). Raises as `rows` does."""
        with ExitStack() as held:
            held.enter_context(self._place("file"))
            with self._place("query"):
                file = await self._run(text, form, 0, until_gone)
            assert not isinstance(file, Rows)
            held.enter_context(file)
            return Download(file, os.fstat(file.fileno()).st_size, held.pop_all())

    async def _run(
        self, text: str, form: str, offset: int, until_gone: Callable[[], Coroutine[Any, Any, None]]
    ) -> Rows | BinaryIO:
        if len(text) > self.limits.text:
            raise QueryFailed(f"A query has at most {self.limits.text:,} characters.")
        lake = await asyncio.to_thread(self._open)
        return await supervise(lake, text, form, offset, self.limits, until_gone)

    @contextmanager
    def _place(self, kind: str) -> Iterator[None]:
        most = self.limits.at_once if kind == "query" else self.limits.waiting_files
        with self._lock:
            if self._taken[kind] >= most:
                raise _busy("queries" if kind == "query" else "downloads")
            self._taken[kind] += 1
        try:
            yield
        finally:
            with self._lock:
                self._taken[kind] -= 1


@dataclass
class Download:
    """The file of a download, open and without a name. It holds a place until it is closed."""

    file: BinaryIO
    size: int
    held: ExitStack

    async def chunks(self) -> AsyncIterator[bytes]:
        """Its bytes."""
        while chunk := await asyncio.to_thread(self.file.read, _CHUNK):
            yield chunk

    def close(self) -> None:
        """Close the file and leave its place; also more than once."""
        self.held.close()


def _busy(what: str) -> QueryFailed:
    return QueryFailed(f"Other {what} take all places: try again in some seconds.", 503)
