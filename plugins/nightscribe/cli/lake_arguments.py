"""Arguments that several commands share."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from nightscribe.errors import LakeError
from nightscribe.settings import Settings

if TYPE_CHECKING:
    from nightscribe.lake.tables import Lake


def add_lake(parser: argparse.ArgumentParser) -> None:
    """`--lake URI`."""
    parser.add_argument(
        "--lake", metavar="URI", help="folder or s3:// prefix of the tables (NIGHTSCRIBE_LAKE)"
    )


def lake_of(arguments: argparse.Namespace, *, make: bool = False) -> Lake:
    """The lake that was asked for. Raises `LakeError` if it is not there and not to be made."""
    from nightscribe.lake.opening import lake_exists, open_lake

    uri, options = _place(arguments)
    if not make and not lake_exists(uri, options):
        raise LakeError(
            f"there is no lake at {uri}: name one with --lake or NIGHTSCRIBE_LAKE, or make one "
            "with `nightscribe run`"
        )
    return open_lake(uri, options)


def has_lake(arguments: argparse.Namespace) -> bool:
    """Whether the lake that was asked for is there."""
    from nightscribe.lake.opening import lake_exists

    return lake_exists(*_place(arguments))


def _place(arguments: argparse.Namespace) -> tuple[str, dict[str, str]]:
    """Its URI, and what it takes to open it."""
    from nightscribe.credentials import storage_options

    settings = Settings()
    return arguments.lake or settings.lake, storage_options(settings.lake_conn_id)


def add_archives(parser: argparse.ArgumentParser) -> None:
    """`--archives URI…`."""
    parser.add_argument(
        "--archives",
        nargs="+",
        metavar="URI",
        help="folders, .zip, .tar[.gz|.bz2|.xz], s3://…, gs://… (NIGHTSCRIBE_ARCHIVES)",
    )
