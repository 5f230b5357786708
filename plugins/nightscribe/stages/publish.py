"""Publish a lake: `catalog.duckdb`, whose views notebooks and BI tools read."""

from __future__ import annotations

import logging
import tempfile
from pathlib import Path

import duckdb

from nightscribe.lake.tables import Lake
from nightscribe.lake.views import create_views

__all__ = ["CATALOG", "publish"]

log = logging.getLogger(__name__)

CATALOG = "catalog.duckdb"

_ATTEMPTS = 10
"""Catalogs that are written, at most, while others go on committing: each of those who commit
publishes afterwards, too."""


def publish(lake: Lake) -> str:
    """Write `catalog.duckdb` into the lake, replacing the old one atomically; returns its URI.

    Of two that publish at once, the one that looked first may write last, and so replace the
    newer catalog. So each looks at the tables again after it has written, and writes again if
    they have newer versions than its catalog shows. The last one that writes also looks last.
    """
    for _ in range(_ATTEMPTS):
        content, shown = _catalog(lake)
        uri = lake.put_file(CATALOG, content)
        if not _has_newer_tables(lake, shown):
            break
        log.info("the lake's tables have changed meanwhile: publishing again")
    return uri


def _catalog(lake: Lake) -> tuple[bytes, dict[str, int]]:
    """The catalog as a file's content, and the versions of the tables that it shows."""
    with tempfile.TemporaryDirectory(prefix="nightscribe-catalog-") as folder:
        path = Path(folder) / CATALOG
        with duckdb.connect(str(path)) as connection:
            if not lake.is_local:
                connection.register_filesystem(lake.filesystem)
            shown = create_views(connection, lake)
        return path.read_bytes(), shown


def _has_newer_tables(lake: Lake, shown: dict[str, int]) -> bool:
    tables = ((lake.table_if_made(name), version) for name, version in shown.items())
    return any(table is not None and table.version() > version for table, version in tables)
