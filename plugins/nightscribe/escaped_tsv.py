r"""TSV in which a backslash escapes what would end a cell, as pandas writes Common Voice's lists.

Common Voice's releases until 2026 and CoVoST 2 are written without quotes and with `\` as the
escape character: a tab, a line break, a quotation mark or a backslash of the text has a backslash
before it. Later lists of Common Voice escape nothing, so a backslash before any other character is
part of the text.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

__all__ = ["escaped_rows"]

_TOKEN = re.compile(r'\\([\\"\t\n])|([\t\n])|[^\\\t\n]+|\\')


def escaped_rows(text: str) -> Iterator[tuple[int, list[str]]]:
    r"""Each row as (number of its first line, cells). Empty lines are skipped.

    >>> list(escaped_rows('a\t\\"Yes,\\" she said\n'))
    [(1, ['a', '"Yes," she said'])]
    """
    text = text.replace("\r\n", "\n").replace("\r", "\n")
    first, line = 1, 1
    cells, cell = list[str](), list[str]()
    for token in _TOKEN.finditer(text):
        escaped, end = token.groups()
        line += token[0].endswith("\n")
        if end is None:
            cell.append(token[0] if escaped is None else escaped)
            continue
        cells.append("".join(cell))
        cell = []
        if end == "\n":
            if any(cells):
                yield first, cells
            cells, first = [], line
    cells.append("".join(cell))
    if any(cells):
        yield first, cells
