"""Specs: descriptions of pieces of work, kept as Parquet files in the lake.

Stages pass each other the paths of specs instead of their rows, which can be many.
"""

from __future__ import annotations

import pyarrow as pa
import pyarrow.parquet as pq

from nightscribe.errors import LakeError
from nightscribe.lake.location import LakeLocation

__all__ = ["has_spec", "read_spec", "write_spec"]


def write_spec(lake: LakeLocation, path: str, rows: pa.Table | pa.RecordBatchReader) -> str:
    """Keep a spec at a path in the lake; returns `path`.

    Of a reader, one batch is in memory at a time.
    """
    batches = rows.to_reader() if isinstance(rows, pa.Table) else rows
    lake.make_folder_for(path)
    with (
        lake.filesystem.open(lake.native_path(path), "wb") as file,
        pq.ParquetWriter(file, rows.schema, compression="zstd") as writer,
    ):
        for batch in batches:
            writer.write_batch(batch)
    return path


def has_spec(lake: LakeLocation, path: str) -> bool:
    """Whether there is a spec at this path."""
    return bool(lake.filesystem.exists(lake.native_path(path)))


def read_spec(lake: LakeLocation, path: str) -> pa.Table:
    """Rows of a spec that `write_spec` kept. Raises `LakeError` if it is not there."""
    try:
        with lake.filesystem.open(lake.native_path(path), "rb") as file:
            return pq.read_table(file)
    except FileNotFoundError as error:
        raise LakeError(
            f"{lake.path(path)}, which says what this task is to do, is not there: start a new "
            "run instead of retrying this one (was the run begun on another lake?)"
        ) from error
