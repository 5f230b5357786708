"""Open a lake, and make the tables that it lacks."""

from __future__ import annotations

import contextlib
import json

import pyarrow as pa
from deltalake import CommitProperties, DeltaTable
from deltalake.exceptions import CommitFailedError, DeltaError

from nightscribe.errors import LakeError
from nightscribe.lake.location import canonical_lake_uri
from nightscribe.lake.schema import ADDED_LATER, LAKE_FORMAT, SCHEMAS
from nightscribe.lake.tables import Lake

__all__ = ["lake_exists", "open_lake"]


def open_lake(uri: str, storage_options: dict[str, str] | None = None) -> Lake:
    """Open a lake, making the tables that it lacks.

    Raises `LakeError` if it was written in a newer format or cannot be written to, and
    `ConfigurationError` if its URI cannot be used.
    """
    lake = Lake(canonical_lake_uri(uri), dict(storage_options or {}))
    try:
        found = _read_format(lake)
        if found is None:
            lake.put_file("lake.json", json.dumps({"format": LAKE_FORMAT}).encode() + b"\n")
        elif found > LAKE_FORMAT:
            raise LakeError(
                f"lake {lake.uri} has format {found}, written by a newer Nightscribe; this one "
                f"reads up to {LAKE_FORMAT}: upgrade nightscribe, or name another lake"
            )
        for name, schema in SCHEMAS.items():
            # Who may only read a lake need not have what it has nothing in.
            refusals = (OSError, DeltaError) if found and name in ADDED_LATER else ()
            with contextlib.suppress(*refusals):
                if not DeltaTable.is_deltatable(lake.path(name), lake.delta_options):
                    _create_table(lake, name, schema)
    except (OSError, DeltaError) as error:
        raise LakeError(f"lake {lake.uri} cannot be opened: {error}") from error
    return lake


def _create_table(lake: Lake, name: str, schema: pa.Schema) -> None:
    # Tried again, the creation would be committed on top of another process's.
    once = CommitProperties(max_commit_retries=0)
    with contextlib.suppress(CommitFailedError):
        DeltaTable.create(
            lake.path(name),
            schema,
            mode="ignore",
            name=name,
            storage_options=lake.delta_options,
            commit_properties=once,
        )
    lake.table(name)  # whoever made it, it is there


def lake_exists(uri: str, storage_options: dict[str, str] | None = None) -> bool:
    """Whether there is a lake at this URI."""
    return _read_format(Lake(canonical_lake_uri(uri), dict(storage_options or {}))) is not None


def _read_format(lake: Lake) -> int | None:
    try:
        content = json.loads(lake.filesystem.cat_file(lake.native_path("lake.json")))
        return int(content["format"])
    except FileNotFoundError:
        return None
    except (ValueError, KeyError, TypeError) as error:
        raise LakeError(f'{lake.path("lake.json")} is damaged: expected {{"format": 1}}') from error
    except Exception as error:
        # Each store has its own exceptions for refused or missing credentials.
        raise LakeError(
            f"lake {lake.uri} cannot be opened: {type(error).__name__}: {error}"
        ) from error
