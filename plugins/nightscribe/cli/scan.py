"""Count the new and changed files of archives; read only names and sizes, change nothing.

A file is new if the lake does not know its path with its size and version. If there is no lake
yet, every file is new.

examples:
  nightscribe scan --archives /data/radio --lake /data/lake
  nightscribe scan --archives /data/radio s3://bucket/calls
"""

from __future__ import annotations

import argparse
import tempfile

from nightscribe.cli.arguments import add_archives, add_lake, has_lake, lake_of
from nightscribe.errors import ConfigurationError
from nightscribe.settings import Settings


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add `--archives` and `--lake`."""
    add_archives(parser)
    add_lake(parser)


def execute(arguments: argparse.Namespace) -> int:
    """Print one line of counts per archive."""
    from nightscribe.lake.opening import open_lake
    from nightscribe.stages.new_files import find_new

    archives = tuple(arguments.archives or Settings().archives)
    if not archives:
        raise ConfigurationError("nothing to scan: give --archives or set NIGHTSCRIBE_ARCHIVES")
    with tempfile.TemporaryDirectory(prefix="nightscribe-scan-") as folder:
        # Without a lake, the archives are compared with an empty one.
        lake = lake_of(arguments) if has_lake(arguments) else open_lake(folder)
        for archive in archives:
            with find_new(lake, [archive]) as scanned:
                print(
                    f"{archive}: {scanned.files} files, {scanned.new_files} new or changed "
                    f"({scanned.new_bytes / 1e6:.1f} MB), {scanned.unusable} rejected"
                )
    return 0
