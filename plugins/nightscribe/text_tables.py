"""Tables as text, for a terminal, a log, a pipe, or a page in Markdown."""

from __future__ import annotations

import io
import shutil
import sys
from collections.abc import Iterable, Sequence

__all__ = ["markdown_table", "print_table", "table_text"]

_WIDE = 10_000
"""Characters per line; in effect no limit."""


def table_text(
    columns: Sequence[str], rows: Iterable[Iterable[object]], *, width: int = _WIDE
) -> str:
    """A table with column names, a rule and rows; ends with a newline.

    Columns of numbers, and of texts that begin with a digit, are right-aligned. None is an empty
    cell. Cells are wrapped at a line length of `width` characters. Wide characters, such as Chinese
    ones, count as two.

    >>> print(table_text(["language", "WER %"], [["German", "5.1"], ["Spanish", "12.0"]]), end="")
    language  WER %
    --------- -----
    German      5.1
    Spanish    12.0
    """
    # Imported here because the import is slow, and most commands print no table.
    from rich.box import Box
    from rich.console import Console
    from rich.table import Table

    cells = [["" if cell is None else str(cell) for cell in row] for row in rows]
    box = Box("\n".join(["    ", "    ", " -  ", "    ", "    ", "    ", "    ", "    "]))
    table = Table(box=box, show_edge=False, pad_edge=False, padding=(0, 1, 0, 0))
    for number, column in enumerate(columns):
        numeric = _is_numeric([row[number] for row in cells])
        table.add_column(column, justify="right" if numeric else "left", overflow="fold")
    for row in cells:
        table.add_row(*row)
    written = io.StringIO()
    plain = Console(
        file=written,
        width=width,
        markup=False,
        highlight=False,
        emoji=False,
        force_jupyter=False,  # in a kernel, it would show the table and write nothing
        force_terminal=False,
    )
    plain.print(table)
    return "".join(f"{line.rstrip()}\n" for line in written.getvalue().splitlines())


def print_table(columns: Sequence[str], rows: Iterable[Iterable[object]]) -> None:
    """Print a table to standard output; on a terminal, wrapped at its width."""
    width = shutil.get_terminal_size().columns if sys.stdout.isatty() else _WIDE
    print(table_text(columns, rows, width=width), end="")


def _is_numeric(cells: Sequence[str]) -> bool:
    """Whether every non-empty cell begins with a digit, or a sign and a digit."""
    filled = [cell.lstrip("+-") for cell in cells if cell and cell != "–"]
    return bool(filled) and all(cell[:1].isdigit() for cell in filled)


def markdown_table(head: Sequence[str], lines: Sequence[Sequence[str]]) -> str:
    """A Markdown table, to read in a terminal too. Columns but the first are right-aligned."""
    widths = [max(map(len, column)) for column in zip(head, *lines, strict=True)]

    def line(cells: Sequence[str]) -> str:
        first, *others = zip(cells, widths, strict=True)
        padded = [first[0].ljust(first[1]), *(cell.rjust(width) for cell, width in others)]
        return f"| {' | '.join(padded)} |"

    rule = [f"{'-' * widths[0]}", *(f"{'-' * (width - 1)}:" for width in widths[1:])]
    return "\n".join(line(cells) for cells in (head, rule, *lines))
