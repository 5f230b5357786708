"""Rows for a table: dictionaries → Arrow, with run and time."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import Any

import pyarrow as pa

from nightscribe.errors import Reason
from nightscribe.lake.schema import SCHEMAS

__all__ = ["rejected_row", "rows_of"]


def rows_of(table: str, rows: Iterable[Mapping[str, Any]], run_id: str | None = None) -> pa.Table:
    """Arrow rows in the schema of a table. Fills in `run_id` and `created_at`."""
    schema = SCHEMAS[table]
    stamp = {"run_id": run_id, "created_at": datetime.now(UTC)}
    return pa.Table.from_pylist([{**stamp, **row} for row in rows], schema=schema)


def rejected_row(
    uri: str,
    reason: Reason,
    detail: str,
    *,
    version: str = "",
    recording_id: str | None = None,
    model_id: str | None = None,
    task: str | None = None,
    options_key: str | None = None,
) -> dict[str, Any]:
    """A row of `rejected`. The last four identify a failed transcription."""
    return {
        "uri": uri,
        "version": version,
        "reason": reason.value,
        "detail": detail,
        "recording_id": recording_id,
        "model_id": model_id,
        "task": task,
        "options_key": options_key,
    }
