"""The versions of the tables at the last publication: none of them is ever older afterwards.

If the newest entries of a table's log are lost, or the whole table is, nothing in the table shows
that. So publication notes the versions in a file of the lake, and readers compare.
"""

from __future__ import annotations

import json
from collections.abc import Mapping

from nightscribe.errors import LakeError
from nightscribe.faults import reason_of
from nightscribe.lake.location import LakeLocation

__all__ = ["PUBLISHED", "note_versions", "published_versions"]

PUBLISHED = "_published.json"
"""Its name sorts before those of the tables: a program that copies a lake by name copies it
first, so that the copies of the tables are never older than it says."""


def note_versions(lake: LakeLocation, versions: Mapping[str, int]) -> None:
    """Note the version of each table; -1 stands for a table that does not exist."""
    found = {name: version for name, version in versions.items() if version >= 0}
    if any(version > published_versions(lake).get(name, -1) for name, version in found.items()):
        lake.put_file(PUBLISHED, json.dumps(found, indent=1).encode() + b"\n")


def published_versions(lake: LakeLocation) -> dict[str, int]:
    """Table → version at the last publication; empty if none is noted.

    Raises `LakeError` if it cannot be read, or is damaged.
    """
    place = lake.path(PUBLISHED)
    try:
        noted = json.loads(lake.filesystem.cat_file(lake.native_path(PUBLISHED)))
        return {str(name): int(version) for name, version in noted.items()}
    except FileNotFoundError:
        return {}
    except OSError as error:
        raise LakeError(f"{place} cannot be read: {reason_of(error)}") from error
    except (ValueError, TypeError, AttributeError) as error:
        raise LakeError(
            f"{place} is damaged: copy it back from a backup, or remove it and run again: the next "
            "publication writes it"
        ) from error
