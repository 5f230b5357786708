"""Tables on standard output."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Sequence

__all__ = ["print_table"]

_WIDE = 10_000
"""Characters of a line in a file or pipe: no row is broken there."""


def print_table(columns: Sequence[str], rows: Iterable[Iterable[object]]) -> None:
    """Print rows below their headings; numbers are aligned to the right, None is empty.

    On a terminal, long cells are broken to its width. In a file or pipe a row is one line.
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
    width = None if sys.stdout.isatty() else _WIDE
    Console(width=width, markup=False, highlight=False, emoji=False).print(table)
