"""Remove what is kept for a time only: errors of old evaluations, specs, and unfinished files."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import pyarrow as pa

from nightscribe.lake.reading import connect
from nightscribe.lake.specs import SPECS
from nightscribe.lake.tables import Lake

__all__ = ["delete_old_errors", "modified_at", "remove_old_files"]

_UNFINISHED = re.compile(r"\.[0-9a-f]{16}\.tmp")
"""Name of a file that a killed process has not finished, see `nightscribe.whole_file`."""


def delete_old_errors(lake: Lake, keep: timedelta) -> int:
    """Delete the `utterance_errors` of evaluations that ended before `keep`, but for the newest.

    Their scores stay. Returns the number of evaluations; raises `LakeError`.
    """
    with connect(lake, views=["utterance_errors", "scores"]) as connection:
        rows = connection.execute(
            """SELECT DISTINCT score_id FROM files.utterance_errors JOIN (
                 SELECT score_id, max(created_at) AS ended FROM files.scores GROUP BY score_id
                 QUALIFY row_number() OVER (
                   ORDER BY max(sequence) DESC NULLS LAST, max(created_at) DESC, score_id) > 1)
                 USING (score_id)
               WHERE ended < $before ORDER BY score_id""",
            {"before": datetime.now(UTC) - keep},
        ).fetchall()
    ids = pa.array([score_id for (score_id,) in rows], pa.string())
    lake.delete("utterance_errors", pa.table({"score_id": ids}), ["score_id"])
    return len(ids)


def remove_old_files(lake: Lake, before: datetime, active: Collection[str]) -> int:
    """Remove the specs of runs from before a moment, and files that were not finished.

    A task of such a run can then not be repeated. Returns the number of files. Raises `OSError`.

    Args:
        active: folders of runs that are at work, whose specs stay
    """
    filesystem = lake.filesystem
    filesystem.invalidate_cache()
    root = lake.native_path(SPECS)
    files = lake.files_below(SPECS)
    runs: dict[str, list[str]] = {}
    for path in files:
        run = path.removeprefix(root).strip("/").partition("/")[0]
        runs.setdefault(run, []).append(path)
    removed: list[str] = []
    for run, paths in runs.items():
        newest = max(modified_at(files[path]) for path in paths)
        if newest < before and f"{SPECS}/{run}" not in active:
            filesystem.rm(f"{root}/{run}", recursive=True)
            removed += paths
    if lake.is_local:  # an object store has no file before it is whole
        unfinished = [
            path
            # Whoever owns the disk may have folders here that nobody else can list (`lost+found`).
            for path, info in filesystem.find(lake.native_path(""), detail=True).items()
            if _UNFINISHED.fullmatch(path.rpartition("/")[2]) and modified_at(info) < before
        ]
        for path in unfinished:
            filesystem.rm_file(path)
        removed += unfinished
    return len(removed)


def modified_at(info: Mapping[str, Any]) -> datetime:
    """When a file was written: of a local disk, the listing has a number; of a store, a time."""
    written = info.get("mtime", info.get("LastModified"))
    if isinstance(written, datetime):
        return written
    return datetime.fromtimestamp(float(written or 0), UTC)
