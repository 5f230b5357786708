"""What the process of a query sends back. It is JSON: a pickle can run code in its reader."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any, BinaryIO

__all__ = ["Column", "QueryFailed", "Rows", "read_answer"]


class QueryFailed(Exception):
    """A query without a result. Its message is for the person who wrote it.

    Attributes:
        status: of the answer to the browser: 400 for the query's fault, 503 for a busy server
    """

    def __init__(self, detail: str, status: int = 400) -> None:
        super().__init__(detail)
        self.detail = detail
        self.status = status


@dataclass(frozen=True)
class Column:
    """A column of a result; `is_number` decides on which side its values stand."""

    name: str
    kind: str
    is_number: bool


@dataclass(frozen=True)
class Rows:
    """One page of a result.

    Attributes:
        rows: values as DuckDB writes them, cut at the limit; None for NULL
        count: rows of the result, at most as many as may be shown
        more: the result has more than these
        is_plan: it explains a query
        seconds: that the query took, without the start of its process
    """

    columns: list[Column]
    rows: list[list[str | None]]
    count: int
    more: bool
    is_plan: bool
    seconds: float


def read_answer(file: BinaryIO, most: int) -> Rows | None:
    """The answer in a file: rows, or None for a download that is written.

    It may come from a process that somebody has taken over, so nothing but plain values is read.

    Raises:
        QueryFailed: the query failed, or its answer is larger than `most` bytes or no answer.
    """
    file.seek(0)
    content = file.read(most + 1)
    if len(content) > most:
        raise QueryFailed(f"This page would be larger than {most >> 20} MiB: choose fewer columns.")
    try:
        answer: dict[str, Any] = json.loads(content)
        if "error" in answer:
            raise QueryFailed(str(answer["error"]))
        if "file" in answer:
            return None
        return Rows(
            [Column(str(name), str(kind), bool(right)) for name, kind, right in answer["columns"]],
            [[None if value is None else str(value) for value in row] for row in answer["rows"]],
            int(answer["count"]),
            bool(answer["more"]),
            bool(answer["plan"]),
            float(answer["seconds"]),
        )
    except (ValueError, TypeError, KeyError, RecursionError) as error:
        raise QueryFailed("The process of this query has ended without a result.") from error
