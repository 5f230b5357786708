"""Arguments that several commands share, and the lake that they name."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from nightscribe.errors import LakeError
from nightscribe.settings import Settings

if TYPE_CHECKING:
    from nightscribe.lake.tables import Lake


def add_lake(parser: argparse.ArgumentParser) -> None:
    """Add `--lake URI`."""
    parser.add_argument(
        "--lake",
        metavar="URI",
        help="folder or s3:// prefix of the tables (NIGHTSCRIBE_LAKE; default: ./lake)",
    )


def add_archives(parser: argparse.ArgumentParser) -> None:
    """Add `--archives URI…`."""
    parser.add_argument(
        "--archives",
        nargs="+",
        metavar="URI",
        help="folders, .zip, .tar[.gz|.bz2|.xz], single files, s3://… or gs://… "
        "(NIGHTSCRIBE_ARCHIVES)",
    )


def add_model(parser: argparse.ArgumentParser) -> None:
    """Add `--model NAME`."""
    parser.add_argument(
        "--model",
        metavar="NAME",
        help="official name, path of a checkpoint, or demo (NIGHTSCRIBE_MODEL; default: turbo)",
    )


def add_task(parser: argparse.ArgumentParser) -> None:
    """Add `--task`."""
    parser.add_argument(
        "--task",
        choices=["transcribe", "translate", "both"],
        help="transcribe, translate into English, or both (NIGHTSCRIBE_TASK; default: transcribe)",
    )


def lake_of(arguments: argparse.Namespace, *, create: bool = False) -> Lake:
    """Open the lake that `--lake` or NIGHTSCRIBE_LAKE names.

    Raises `LakeError` if it does not exist, unless `create` is set.
    """
    from nightscribe.lake.opening import lake_exists, open_lake

    uri, options = _location(arguments)
    if not create and not lake_exists(uri, options):
        raise LakeError(
            f"there is no lake at {uri}: name one with --lake or NIGHTSCRIBE_LAKE, or create one "
            "with `nightscribe run`"
        )
    return open_lake(uri, options)


def has_lake(arguments: argparse.Namespace) -> bool:
    """Whether the lake that `--lake` or NIGHTSCRIBE_LAKE names exists."""
    from nightscribe.lake.opening import lake_exists

    return lake_exists(*_location(arguments))


def _location(arguments: argparse.Namespace) -> tuple[str, dict[str, str]]:
    """The lake's URI, and the storage options to open it."""
    from nightscribe.credentials import storage_options

    settings = Settings()
    return arguments.lake or settings.lake, storage_options(settings.lake_conn_id)
