"""Specs: descriptions of work, stored as Parquet files in the lake.

Stages pass the paths of specs to each other, since a spec can have many rows.
"""

from __future__ import annotations

import pyarrow as pa
import pyarrow.parquet as pq

from nightscribe.errors import LakeError
from nightscribe.lake.location import LakeLocation

__all__ = ["SPECS", "has_spec", "read_spec", "write_spec"]

SPECS = "_plans"
"""Folder of all specs, relative to the lake."""


def write_spec(lake: LakeLocation, path: str, rows: pa.Table | pa.RecordBatchReader) -> str:
    """Write a spec to a path in the lake; returns the path.

    Of a reader, one batch at a time is in memory. A spec is written whole or not at all.
    """
    batches = rows.to_reader() if isinstance(rows, pa.Table) else rows
    with (
        lake.new_file(path) as file,
        pq.ParquetWriter(file, rows.schema, compression="zstd") as writer,
    ):
        for batch in batches:
            writer.write_batch(batch)
    return path


def has_spec(lake: LakeLocation, path: str) -> bool:
    """Whether a spec exists at this path. Raises `OSError`."""
    return lake.exists(path)


def read_spec(lake: LakeLocation, path: str) -> pa.Table:
    """Read the rows of a spec. Raises `LakeError` if it does not exist."""
    try:
        with lake.filesystem.open(lake.native_path(path), "rb") as file:
            return pq.read_table(file)
    except FileNotFoundError as error:
        raise LakeError(
            f"{lake.path(path)}, the spec of this task, does not exist: start a new run instead of "
            "retrying this one (did the run start with another lake?)"
        ) from error
