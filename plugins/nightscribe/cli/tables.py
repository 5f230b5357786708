"""Print tables on standard output."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Sequence

__all__ = ["print_table"]

_PIPE_WIDTH = 10_000
"""Characters per line in a file or pipe: more than any row has, so that no row is wrapped."""


def print_table(columns: Sequence[str], rows: Iterable[Iterable[object]]) -> None:
    """Print rows below the column names. Numbers are right-aligned; None is an empty cell.

    On a terminal, long cells are wrapped to its width. In a file or pipe, each row is one line.
    """
    from rich.console import Console
    from rich.table import Table

    cells = [list(row) for row in rows]
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="bold")
    for number, column in enumerate(columns):
        numeric = bool(cells) and all(isinstance(row[number], int | float) for row in cells)
        table.add_column(column, justify="right" if numeric else "left", overflow="fold")
    for row in cells:
        table.add_row(*("" if cell is None else str(cell) for cell in row))
    width = None if sys.stdout.isatty() else _PIPE_WIDTH
    Console(width=width, markup=False, highlight=False, emoji=False).print(table)
