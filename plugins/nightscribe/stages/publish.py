"""Publish: write `catalog.duckdb`, whose views notebooks and BI tools read, and tidy the tables."""

from __future__ import annotations

import logging
import tempfile
from pathlib import Path

import duckdb

from nightscribe.errors import LakeError
from nightscribe.lake.damage import explains
from nightscribe.lake.forgetting import delete_again
from nightscribe.lake.published import note_versions
from nightscribe.lake.replaced import delete_replaced
from nightscribe.lake.tables import Lake
from nightscribe.lake.views import create_views

__all__ = ["CATALOG", "publish"]

log = logging.getLogger(__name__)

CATALOG = "catalog.duckdb"

_STORAGE = "v1.0.0"
"""The oldest storage version that DuckDB 2 writes; DuckDB 1 reads it, too."""

_ATTEMPTS = 10
"""Catalogs that one call writes at most. Every process that commits also publishes afterwards, so
it is safe to stop while others commit."""


@explains
def publish(lake: Lake) -> str:
    """Write `catalog.duckdb` into the lake and return its URI. Replaces the old one atomically.

    If two processes publish at the same time, the one that read the tables first may write last,
    and replace the newer catalog. So each process reads the tables' versions again after it has
    written, and writes again if a table has a newer version than its catalog. The process that
    writes last also reads last, so the last catalog is up to date.

    Before, it deletes what replaced transcripts have left in the tables, and rows of forgotten
    recordings that a run has committed that was at work when they were forgotten.
    """
    try:
        delete_replaced(lake)
    except LakeError as error:  # the views hide these rows; the next publication deletes them
        log.warning("rows of replaced transcripts stay for now: %s", error)
    if found := delete_again(lake):
        log.warning(
            "a run brought rows of forgotten recordings back, in %s: they are deleted again, and "
            "`nightscribe lake maintain` removes their files",
            ", ".join(found),
        )
    for _ in range(_ATTEMPTS):
        content, shown = _catalog(lake)
        uri = lake.put_file(CATALOG, content)
        if not _has_newer_tables(lake, shown):
            break
        log.info("the lake's tables changed while the catalog was written: publishing again")
    note_versions(lake, shown)
    return uri


def _catalog(lake: Lake) -> tuple[bytes, dict[str, int]]:
    """The content of the catalog file, and the version of each table that it shows."""
    with tempfile.TemporaryDirectory(prefix="nightscribe-catalog-") as folder:
        path = Path(folder) / CATALOG
        with duckdb.connect() as connection:
            if not lake.is_local:
                connection.register_filesystem(lake.filesystem)
            quoted = str(path).replace("'", "''")
            connection.execute(f"ATTACH '{quoted}' AS catalog (STORAGE_VERSION '{_STORAGE}')")
            connection.execute("USE catalog")
            shown = create_views(connection, lake, movable=True)
            connection.execute("USE memory")
            connection.execute("DETACH catalog")  # writes the file
        return path.read_bytes(), shown


def _has_newer_tables(lake: Lake, shown: dict[str, int]) -> bool:
    tables = ((lake.table_if_made(name), version) for name, version in shown.items())
    return any(table is not None and table.version() > version for table, version in tables)
