"""Account for the files of archives: known, new, rejected, passed over. Changes nothing.

Reads names, sizes and manifests. What is rejected, or wrong in a manifest, is named: the first 20.
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
    """Print the account of each archive."""
    from nightscribe.lake.opening import open_lake
    from nightscribe.stages.new_files import count_manifests, find_new
    from nightscribe.stages.outcome import NAMED, named
    from nightscribe.stages.scan import read_manifests

    settings = Settings()
    archives = tuple(arguments.archives or settings.archives)
    if not archives:
        raise ConfigurationError("nothing to scan: give --archives or set NIGHTSCRIBE_ARCHIVES")
    with tempfile.TemporaryDirectory(prefix="nightscribe-scan-") as folder:
        # Without a lake, the archives are compared with an empty one.
        lake = lake_of(arguments) if has_lake(arguments) else open_lake(folder)
        for archive in archives:
            with find_new(lake, [archive]) as found:
                read_manifests(found, settings)
                count_manifests(found)
                unusable = [
                    (row["uri"], row["reason"], row["detail"])
                    for batch in found.rows(f"FROM unusable LIMIT {NAMED}")
                    for row in batch.to_pylist()
                ]
                [(count,)] = found.database.execute("SELECT count(*) FROM unusable").fetchall()
                for line in named("rejected", unusable, count):
                    print(line)
                for account in found.accounts.values():
                    account.new += account.used  # manifests; a run applies them
                    account.used = 0
                    print(f"{account.line()}; {found.new_bytes / 1e6:.1f} MB new")
                    if remark := account.remark():
                        print(remark)
    return 0
