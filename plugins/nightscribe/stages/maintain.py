"""Maintain: keep a lake small and fast, beside whatever runs are active.

In this order: rows that no view shows are deleted, small files become large ones, the catalog is
published, and only then files go that no version in use needs. So whoever opens the catalog or a
page at any moment finds all files that it names.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from nightscribe.errors import BusyError, ConfigurationError
from nightscribe.lake.aged import delete_old_errors, remove_old_files
from nightscribe.lake.damage import explains
from nightscribe.lake.forgetting import jobs
from nightscribe.lake.orphans import delete_orphans
from nightscribe.lake.reading import connect
from nightscribe.lake.tables import Lake
from nightscribe.lake.tidying import Size, compact, shorten_log, size_of, vacuum
from nightscribe.settings import Settings
from nightscribe.stages.forget import expired, finish, forget
from nightscribe.stages.publish import publish
from nightscribe.stages.run_ids import work_folder

__all__ = ["Maintained", "TableMaintained", "maintain"]

log = logging.getLogger(__name__)

_SHORT_LOG = 20
"""Files of a log that is left as it is."""


@dataclass(frozen=True)
class TableMaintained:
    """What became of one table.

    Attributes:
        removed: files that no version in use needs
    """

    name: str
    before: Size
    after: Size
    removed: int

    def line(self) -> str:
        """For people."""
        before, after = self.before, self.after
        return (
            f"{self.name}: {before.files:,} files ({before.size_bytes / 1e6:,.1f} MB) are now "
            f"{after.files:,} ({after.size_bytes / 1e6:,.1f} MB), {before.entries:,} log files "
            f"{after.entries:,}; removed {self.removed:,} old files"
        )


@dataclass
class Maintained:
    """What a call of `maintain` has done.

    Attributes:
        forgotten: recordings that `NIGHTSCRIBE_RETENTION` does not let the lake keep
        orphans: table → keys of which rows were deleted that no view shows
        errors: evaluations of which `utterance_errors` were deleted
        files: files outside the tables that were removed
        busy: tables that others committed to all the time; the next call tidies them
    """

    forgotten: int = 0
    orphans: dict[str, int] = field(default_factory=dict)
    errors: int = 0
    files: int = 0
    tables: list[TableMaintained] = field(default_factory=list)
    busy: list[str] = field(default_factory=list)
    catalog: str = ""

    def summary(self) -> str:
        """One line."""
        before = [one.before for one in self.tables]
        after = [one.after for one in self.tables]
        orphans = sum(self.orphans.values())
        return (
            f"maintained: {sum(size.files for size in before):,} live files are now "
            f"{sum(size.files for size in after):,}, and {sum(size.entries for size in before):,} "
            f"log files {sum(size.entries for size in after):,}; removed "
            f"{sum(table.removed for table in self.tables):,} old files of tables, {self.files:,} "
            f"others, rows of {orphans:,} killed attempts and evaluations, the errors of "
            f"{self.errors:,} old evaluations, and {self.forgotten:,} recordings past their time"
        )


@explains
def maintain(
    lake: Lake, settings: Settings, run_id: str, say: Callable[[str], None] = lambda line: None
) -> Maintained:
    """Maintain all tables of a lake. It may be killed at any moment, and be called again.

    Args:
        say: told a line for each table

    Raises:
        ConfigurationError: `keep_days` is shorter than a task may take.
        LakeError: the lake cannot be read or written.
    """
    keep = timedelta(days=settings.keep_days)
    if keep < timedelta(hours=settings.batch_hours_max):
        raise ConfigurationError(
            f"NIGHTSCRIBE_KEEP_DAYS={settings.keep_days:g}: a batch may take "
            f"{settings.batch_hours_max:g} hours (NIGHTSCRIBE_BATCH_HOURS_MAX), and needs its "
            "files until it ends: keep them for longer"
        )
    before = datetime.now(UTC) - keep
    done = Maintained()
    names = [name for name, version in lake.versions().items() if version >= 0]
    sizes = {name: size_of(lake, name) for name in names}
    if ids := expired(lake, settings):
        forgotten = forget(lake, ids, settings, run_id, "NIGHTSCRIBE_RETENTION")
        done.forgotten = forgotten.recordings
        for file in forgotten.left:
            log.warning("an upload past its time could not be removed: %s", file)
    if jobs(lake):  # the process was killed, or a run has brought rows back
        for file in finish(lake, settings).left:
            log.warning("an upload of a forgotten recording could not be removed: %s", file)
    done.orphans = delete_orphans(lake, before)
    done.errors = delete_old_errors(lake, timedelta(days=settings.errors_keep_days))
    done.files = remove_old_files(lake, before, _active(lake, before))
    for name in names:
        with _unless_busy(done, name):
            if sizes[name].files > 1:
                compact(lake, name)
            if sizes[name].entries > _SHORT_LOG:
                shorten_log(lake, name, keep)
    done.catalog = publish(lake)
    for name in names:
        removed = 0
        with _unless_busy(done, name):
            removed = vacuum(lake, name, keep)
        one = TableMaintained(name, sizes[name], size_of(lake, name), removed)
        done.tables.append(one)
        say(one.line())
    if any(one.removed for one in done.tables):  # which are commits
        done.catalog = publish(lake)
    return done


@contextmanager
def _unless_busy(done: Maintained, name: str) -> Iterator[None]:
    """Leave a table to the next call if others commit to it all the time."""
    try:
        yield
    except BusyError as error:
        log.warning("%s", error)
        done.busy.append(name)


def _active(lake: Lake, since: datetime) -> set[str]:
    """The folders of runs that have written rows since a moment."""
    with connect(lake, views=["batches", "account_parts"]) as connection:
        rows = connection.execute(
            """SELECT run_id FROM files.batches WHERE created_at >= $since
               UNION SELECT run_id FROM files.account_parts WHERE created_at >= $since""",
            {"since": since},
        ).fetchall()
    return {work_folder(run_id) for (run_id,) in rows}
