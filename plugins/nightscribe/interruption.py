"""Queries that a signal interrupts.

Python runs the handler of a signal after the present call has returned, and a query of DuckDB is
one call, however long it takes. So another thread must end the queries.
"""

from __future__ import annotations

from contextlib import suppress
from typing import Protocol, TypeVar
from weakref import WeakSet

__all__ = ["interrupt_queries", "interruptible"]


class _Connection(Protocol):
    def interrupt(self) -> None: ...


C = TypeVar("C", bound=_Connection)

_OPEN: WeakSet[_Connection] = WeakSet()


def interruptible(connection: C) -> C:
    """Let `interrupt_queries` end the queries of a DuckDB connection or cursor; returns it."""
    _OPEN.add(connection)
    return connection


def interrupt_queries() -> None:
    """End the queries that run now; each raises an error in its thread."""
    for connection in list(_OPEN):
        with suppress(Exception):  # it was closed meanwhile
            connection.interrupt()
