"""Publish the lake: `catalog.duckdb`, for notebooks and BI tools."""

from __future__ import annotations

import tempfile
from pathlib import Path

import duckdb

from nightscribe.lake.tables import Lake
from nightscribe.lake.views import create_views

CATALOG = "catalog.duckdb"


def publish(lake: Lake) -> str:
    """Write `catalog.duckdb` into the lake, replacing the old one atomically; returns its URI."""
    with tempfile.TemporaryDirectory(prefix="nightscribe-catalog-") as folder:
        path = Path(folder) / CATALOG
        with duckdb.connect(str(path)) as connection:
            if not lake.is_local:
                connection.register_filesystem(lake.filesystem)
            create_views(connection, lake)
        return lake.put_file(CATALOG, path.read_bytes())
