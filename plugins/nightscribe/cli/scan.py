"""Show what is new in archives, without reading or changing anything.

examples:
  nightscribe scan --archives /data/radio s3://bucket/calls
"""

from __future__ import annotations

import argparse
import tempfile

from nightscribe.cli.lake_arguments import add_archives, add_lake, has_lake, lake_of
from nightscribe.errors import ConfigurationError
from nightscribe.settings import Settings


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Archives and lake."""
    add_archives(parser)
    add_lake(parser)


def execute(arguments: argparse.Namespace) -> int:
    """Print counts per archive."""
    from nightscribe.lake.opening import open_lake
    from nightscribe.stages.new_files import find_new

    archives = tuple(arguments.archives or Settings().archives)
    if not archives:
        raise ConfigurationError("nothing to scan: give --archives or set NIGHTSCRIBE_ARCHIVES")
    with tempfile.TemporaryDirectory(prefix="nightscribe-scan-") as empty:
        # To a lake that is not there yet, everything is new.
        lake = lake_of(arguments) if has_lake(arguments) else open_lake(empty)
        for archive in archives:
            with find_new(lake, [archive]) as found:
                print(
                    f"{archive}: {found.files} files, {found.new_files} new or changed "
                    f"({found.new_bytes / 1e6:.1f} MB), {found.unusable} that cannot be used"
                )
    return 0
