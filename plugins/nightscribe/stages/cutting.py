"""Cut a stream of rows into tables; one table at a time is in memory."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence

import pyarrow as pa

__all__ = ["cut_rows"]


def cut_rows(
    batches: Iterable[pa.RecordBatch], columns: Sequence[str], begins: Callable[..., bool]
) -> Iterator[pa.Table]:
    """Yield all rows, in order, as tables of consecutive rows; no table is empty.

    `begins` is called once for each row, in order, with the row's values of `columns`. If it
    returns True, the row starts a new table.
    """
    waiting: list[pa.RecordBatch] = []
    for batch in batches:
        start = 0
        values = [batch[name].to_pylist() for name in columns]
        for index, row in enumerate(zip(*values, strict=True)):
            if begins(*row):
                yield from _table([*waiting, batch.slice(start, index - start)])
                waiting, start = [], index
        waiting.append(batch.slice(start))
    yield from _table(waiting)


def _table(batches: Sequence[pa.RecordBatch]) -> Iterator[pa.Table]:
    if any(batch.num_rows for batch in batches):
        yield pa.Table.from_batches(batches)
