"""Open a lake, create its missing tables, and add columns that an older lake lacks."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Collection

import pyarrow as pa
from deltalake import CommitProperties, DeltaTable, Schema
from deltalake.exceptions import CommitFailedError, DeltaError

from nightscribe.errors import LakeError
from nightscribe.faults import reason_of
from nightscribe.lake.damage import lost_log, lost_versions
from nightscribe.lake.location import canonical_lake_uri
from nightscribe.lake.published import published_versions
from nightscribe.lake.schema import ADDED_COLUMNS, ADDED_LATER, LAKE_FORMAT, SCHEMAS
from nightscribe.lake.tables import Lake

__all__ = ["lake_exists", "open_lake", "open_to_read"]

_ATTEMPTS = 20
"""Attempts at a commit that adds columns; each failed one means that another process committed."""


def open_lake(uri: str, storage_options: dict[str, str] | None = None) -> Lake:
    """Open a lake; create the lake, or its missing tables and columns.

    Raises:
        LakeError: the lake has a newer format, or cannot be read or written.
        ConfigurationError: the URI cannot be used.
    """
    lake = Lake(canonical_lake_uri(uri), dict(storage_options or {}))
    try:
        lake_format = _read_format(lake)
        if lake_format is None:
            lake.put_file("lake.json", json.dumps({"format": LAKE_FORMAT}).encode() + b"\n")
        for name, schema in SCHEMAS.items():
            # A user who may only read an older lake cannot create its missing, empty tables.
            ignored = (OSError, DeltaError) if lake_format and name in ADDED_LATER else ()
            with contextlib.suppress(*ignored):
                if not DeltaTable.is_deltatable(lake.path(name), lake.delta_options):
                    if lake_format is not None:
                        _refuse_to_replace(lake, name)
                    _create_table(lake, name, schema)
        for name, columns in ADDED_COLUMNS.items() if lake_format else ():
            with contextlib.suppress(OSError, DeltaError):  # of such a user, too
                _add_columns(lake, name, columns)
    except (OSError, DeltaError) as error:
        raise LakeError(
            f"lake {lake.uri} cannot be opened: {reason_of(error, [lake.uri])}"
        ) from error
    return lake


def _refuse_to_replace(lake: Lake, name: str) -> None:
    """Raise `LakeError` if a table that is not there was there: an empty one would hide the loss.

    Tables are made in the order of `SCHEMAS`; those of `ADDED_LATER` are made whenever they lack.
    """
    if (published := published_versions(lake).get(name)) is not None:
        raise lost_versions(lake, name, -1, published)
    if lake.exists(name) and any(file.endswith(".parquet") for file in lake.listed(name)):
        raise lost_log(lake, name)
    order = [one for one in SCHEMAS if one not in ADDED_LATER]
    later = order[order.index(name) + 1 :] if name in order else []
    for one in later:
        if DeltaTable.is_deltatable(lake.path(one), lake.delta_options) and not (
            DeltaTable.is_deltatable(lake.path(name), lake.delta_options)  # made meanwhile
        ):
            raise lost_log(lake, name)


def open_to_read(uri: str, storage_options: dict[str, str] | None = None) -> Lake:
    """Open a lake without writing anything.

    Raises:
        LakeError: there is no lake, it has a newer format, or it cannot be read.
        ConfigurationError: the URI cannot be used.
    """
    lake = Lake(canonical_lake_uri(uri), dict(storage_options or {}))
    if _read_format(lake) is None:
        raise LakeError(
            f"there is no lake at {lake.uri} yet: the first run creates it, or NIGHTSCRIBE_LAKE "
            "names another place"
        )
    return lake


def _create_table(lake: Lake, name: str, schema: pa.Schema) -> None:
    # A retry would commit the creation on top of another process's creation.
    no_retry = CommitProperties(max_commit_retries=0)
    with contextlib.suppress(CommitFailedError):
        DeltaTable.create(
            lake.path(name),
            schema,
            mode="ignore",
            name=name,
            storage_options=lake.delta_options,
            commit_properties=no_retry,
        )
    lake.table(name)  # raises if neither this process nor another one created it


def _add_columns(lake: Lake, name: str, columns: Collection[str]) -> None:
    """Add the columns that a table lacks, in one commit. Other processes may do so too."""
    for _ in range(_ATTEMPTS):
        table = lake.table_if_made(name)
        if table is None:
            return
        missing = set(columns) - {field.name for field in table.schema().fields}
        if not missing:
            return
        with contextlib.suppress(CommitFailedError):  # another process added some: look again
            table.alter.add_columns(
                [
                    field
                    for field in Schema.from_arrow(SCHEMAS[name]).fields
                    if field.name in missing
                ],
                commit_properties=CommitProperties(max_commit_retries=0),
            )


def lake_exists(uri: str, storage_options: dict[str, str] | None = None) -> bool:
    """Whether a lake exists at this URI. Raises `LakeError` if it cannot be read."""
    return _read_format(Lake(canonical_lake_uri(uri), dict(storage_options or {}))) is not None


def _read_format(lake: Lake) -> int | None:
    try:
        content = json.loads(lake.filesystem.cat_file(lake.native_path("lake.json")))
        lake_format = int(content["format"])
    except FileNotFoundError:
        return None
    except (ValueError, KeyError, TypeError) as error:
        raise LakeError(f'{lake.path("lake.json")} is damaged: expected {{"format": 1}}') from error
    except Exception as error:
        # Every store has its own exceptions for refused or missing credentials.
        raise LakeError(
            f"lake {lake.uri} cannot be opened: {reason_of(error, [lake.uri])}"
        ) from error
    if lake_format > LAKE_FORMAT:
        raise LakeError(
            f"lake {lake.uri} has format {lake_format}, written by a newer Nightscribe; this "
            f"one reads formats up to {LAKE_FORMAT}: upgrade it, or choose another lake"
        )
    return lake_format
