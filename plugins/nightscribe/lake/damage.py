"""What a damaged lake lacks, and what can be recovered: examined before and after a query fails.

A table is a log and Parquet files. What the log names must be there in full length. `check_files`
compares them before a query, `damage_of` looks into each file after an error.
"""

from __future__ import annotations

import functools
import math
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import ParamSpec, TypeVar, cast

import pyarrow as pa
import pyarrow.parquet as pq
from deltalake import DeltaTable
from deltalake.exceptions import DeltaError

from nightscribe.errors import LakeError, NightscribeError, Rejected
from nightscribe.faults import fault_of, is_fault, is_nameless, one_line, reason_of
from nightscribe.lake.location import LakeLocation
from nightscribe.lake.log import (
    entry_path,
    log_damage,
    newest_version,
    read_log,
    unreadable_entry,
    written_at,
)
from nightscribe.lake.published import PUBLISHED
from nightscribe.lake.schema import SCHEMAS

__all__ = [
    "check_files",
    "check_log",
    "damage_of",
    "explained",
    "explains",
    "fault_in",
    "lost_log",
    "lost_versions",
    "overlooked_entry",
    "table_fault",
]

P = ParamSpec("P")
R = TypeVar("R")

_HELP = 'see "A damaged lake" in docs/troubleshooting.md'
_VERSIONS = 100  # older ones that are tried
_MOST_BYTES = 1024**3  # of files that are read to find a damaged one


def check_log(lake: LakeLocation, name: str) -> int:
    """The newest version in a table's log; -1 if it has none.

    Raises `LakeError` if an entry is missing or empty; and `OSError`.
    """
    newest, found = _examined_log(lake, name)
    if found is not None:
        raise LakeError(_log_text(lake, name, *found))
    return newest


def _examined_log(lake: LakeLocation, name: str) -> tuple[int, tuple[int, str] | None]:
    """The newest version in the log, and its damage."""
    # Twice: a listing during which others commit may lack an entry and have the next.
    for _ in range(2):
        files = read_log(lake, name) or {}
        if (found := log_damage(files)) is None:
            break
    return newest_version(files), found


def overlooked_entry(lake: LakeLocation, name: str, version: int) -> LakeError:
    """The error for a log entry that is listed, but that delta-rs takes no notice of."""
    return LakeError(_log_text(lake, name, version, "is there, but cannot be read"))


def table_fault(lake: LakeLocation, name: str, error: Exception) -> LakeError:
    """The error for a table that cannot be opened."""
    try:
        found = _examined_log(lake, name)[1] or unreadable_entry(lake, name)
    except OSError as second:
        error, found = second, None
    if found is not None:
        return LakeError(_log_text(lake, name, *found))
    return LakeError(
        f"lake {lake.uri}: table {name} cannot be read: {reason_of(error, [lake.uri])}"
    )


def check_files(lake: LakeLocation, name: str, table: DeltaTable) -> None:
    """Raise `LakeError` if a file that the newest version of a table names is missing or cut."""
    if found := _incomplete(_named(table), lake.sizes(name)):
        raise LakeError(_file_text(lake, name, table.version(), *found))


def lost_versions(lake: LakeLocation, name: str, version: int, published: int) -> LakeError:
    """The error for a table that is older than it was, or is not there any more."""
    lost = (
        f"{lake.path(name)} has no table, which was at version {published}"
        if version < 0
        else f"it is at version {version}, and was at {published}: log entries "
        f"{version + 1} to {published} are missing ({lake.path(name, '_delta_log')})"
    )
    return LakeError(
        f"lake {lake.uri}: table {name}: {lost}. Copy it back from a backup; or remove "
        f"{lake.path(PUBLISHED)} to take the lake as it is, with fewer rows, and run again: {_HELP}"
    )


def lost_log(lake: LakeLocation, name: str) -> LakeError:
    """The error for a table without its log, or without its folder."""
    return LakeError(
        f"lake {lake.uri}: table {name} is lost: {lake.path(name, '_delta_log')} is not there any "
        f"more. Copy {lake.path(name)} back from a backup: {_HELP}"
    )


def damage_of(
    lake: LakeLocation, text: str = "", *, content: bool = False, everything: bool = False
) -> str | None:
    """What the tables of a lake lack, in one sentence; None if nothing is found.

    Of the files that a text names, such as that of an error, the content is read too.

    Args:
        content: read the content of up to 1 GiB of files if the text names none
        everything: read the content of all files, those in an object store too
    """
    named = set(re.findall(r"(\w+)/(part-[\w.-]+\.parquet)", text))
    left: float = _MOST_BYTES if content and not named and lake.is_local else 0
    if everything:
        left = math.inf
    try:
        for name in SCHEMAS if everything else _tables_in(text, lake):
            table = _opened(lake, name)
            if table is None:
                continue
            check_log(lake, name)
            check_files(lake, name, table)
            for file, size in sorted(_named(table).items()):
                left -= size
                if ((name, file) in named or left > 0) and (
                    what := _unreadable(lake, f"{name}/{file}")
                ):
                    return _file_text(lake, name, table.version(), file, what)
    except LakeError as error:
        return str(error)
    except (OSError, DeltaError) as error:
        return str(table_fault(lake, name, error))
    return None


@contextmanager
def explained(lake: LakeLocation) -> Iterator[None]:
    """Turn failures of the surroundings, of this lake too, into `NightscribeError`."""
    try:
        yield
    except (NightscribeError, Rejected):
        raise
    except Exception as error:
        fault = fault_in(error, lake)
        if fault is None:
            raise
        raise fault from error


def explains(stage: Callable[P, R]) -> Callable[P, R]:
    """Decorate a function whose first argument is a lake: its failures are `explained`."""

    @functools.wraps(stage)
    def run(*args: P.args, **kwargs: P.kwargs) -> R:
        with explained(cast(LakeLocation, args[0] if args else kwargs["lake"])):
            return stage(*args, **kwargs)

    return run


def fault_in(error: Exception, lake: LakeLocation) -> NightscribeError | None:
    """An error for people: what the lake lacks, if that is the cause; None for a defect."""
    places = [lake.uri] if lake.is_local else []
    file = getattr(error, "filename", None)  # of an `OSError`
    elsewhere = isinstance(file, str) and not file.startswith(lake.uri)
    if elsewhere or not is_fault(error):
        return fault_of(error, places)
    damage = damage_of(lake, str(error), content=not isinstance(error, OSError))
    if damage is None and is_nameless(error) and not lake.is_local:
        damage = f"lake {lake.uri} cannot be used: {reason_of(error)}"
    return LakeError(damage) if damage else fault_of(error, places)


def _tables_in(text: str, lake: LakeLocation) -> Iterable[str]:
    """The tables that an error names. Without a name, all tables of a local lake are looked at.

    Those of an object store are not: it may be the store that fails.
    """
    named = {name for name in re.findall(r"(\w+)/(?:part-|_delta_log)", text) if name in SCHEMAS}
    return named or (SCHEMAS if lake.is_local else ())


def _opened(lake: LakeLocation, name: str, version: int | None = None) -> DeltaTable | None:
    if read_log(lake, name) is None:
        return None
    return DeltaTable(lake.path(name), version=version, storage_options=lake.delta_options)


def _named(table: DeltaTable) -> dict[str, int]:
    """File name → bytes, of the files that a version of a table consists of."""
    actions = table.get_add_actions()
    return dict(zip(actions["path"].to_pylist(), actions["size_bytes"].to_pylist(), strict=True))


def _incomplete(named: Mapping[str, int], there: Mapping[str, int]) -> tuple[str, str] | None:
    """The first file that is missing or has another length, and what is wrong with it."""
    for file, size in sorted(named.items()):
        if file not in there:
            return file, "is missing"
        if there[file] != size:
            return file, f"has {there[file]:,} bytes instead of {size:,}"
    return None


def _unreadable(lake: LakeLocation, path: str) -> str | None:
    """What is wrong with a Parquet file of a lake, whose columns are read; None if nothing is."""
    try:
        with lake.filesystem.open(lake.native_path(path), "rb") as file:
            for _ in pq.ParquetFile(file).iter_batches():
                pass
    except (OSError, pa.ArrowException) as error:
        from_disk = isinstance(error, OSError) and error.errno is not None
        return f"{'cannot be read' if from_disk else 'is damaged'} ({one_line(error)})"
    return None


def _log_text(lake: LakeLocation, name: str, version: int, what: str) -> str:
    place = lake.path(entry_path(name, version))
    return (
        f"lake {lake.uri}: table {name}: log entry {version} {what} ({place}), so its rows from "
        f"this version on are not known. {_remedy(lake, name, version)}"
    )


def _file_text(lake: LakeLocation, name: str, version: int, file: str, what: str) -> str:
    return (
        f"lake {lake.uri}: table {name}, version {version}: {lake.path(name, file)} {what}. "
        f"{_remedy(lake, name, version)}"
    )


def _remedy(lake: LakeLocation, name: str, version: int) -> str:
    """What can be done about a version that is not whole."""
    whole = _newest_whole(lake, name, version)
    if whole is None:
        return f"Copy the file back from a backup; no older version is whole: {_HELP}"
    return (
        f"Copy the file back from a backup, or go back to version {whole}"
        f"{written_at(lake, name, whole)}, the newest that is whole, and run again: {_HELP}"
    )


def _newest_whole(lake: LakeLocation, name: str, below: int) -> int | None:
    """The newest version below one whose log can be read and whose files are all there."""
    for version in range(below - 1, max(below - 1 - _VERSIONS, -1), -1):
        try:
            table = _opened(lake, name, version)
            if table is not None and not _incomplete(_named(table), lake.sizes(name)):
                return version
        except (OSError, DeltaError):
            continue
    return None
