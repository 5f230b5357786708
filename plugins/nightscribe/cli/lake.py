"""Maintain a lake, or check it.

`maintain` is safe beside active runs; the DAG `maintain_lake` does the same every week. It deletes
what killed attempts and evaluations have left, rewrites small files as few large ones, removes
files, log entries and specs that nothing has needed for NIGHTSCRIBE_KEEP_DAYS, and publishes.

`check` reads every file and compares the tables with each other. It changes nothing.

examples:
  nightscribe lake check --lake /data/lake
  nightscribe lake maintain --lake s3://bucket/lake
"""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from nightscribe.cli.arguments import add_lake, lake_of, lake_to_read
from nightscribe.settings import Settings
from nightscribe.text_tables import print_table

if TYPE_CHECKING:
    from nightscribe.lake.tables import Lake


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the actions `maintain` and `check`."""
    actions = parser.add_subparsers(dest="action", required=True, metavar="maintain|check")
    summary = "keep it small and fast"
    add_lake(actions.add_parser("maintain", help=summary, description=f"{summary.capitalize()}."))
    summary = "compare its tables with each other, and say what is wrong"
    add_lake(actions.add_parser("check", help=summary, description=f"{summary.capitalize()}."))


def execute(arguments: argparse.Namespace) -> int:
    """Maintain or check; returns 1 if `check` found something wrong."""
    if arguments.action == "check":
        return _check(lake_to_read(arguments))
    from nightscribe.stages.maintain import maintain
    from nightscribe.stages.run_ids import new_run_id

    done = maintain(
        lake_of(arguments), Settings(), new_run_id(), say=lambda line: print(line, flush=True)
    )
    print(done.summary())
    for name in done.busy:
        print(f"{name} was left as it is: others committed to it all the time; run again later")
    print(f"catalog: {done.catalog}")
    return 0


def _check(lake: Lake) -> int:
    from datetime import UTC, datetime

    from nightscribe.lake.invariants import check, unpublished
    from nightscribe.lake.orphans import find_orphans
    from nightscribe.lake.tidying import size_of

    findings = check(lake)
    for one in findings:
        print(
            f"wrong: it does not hold that {one.invariant}: {one.rows:,} rows, such as "
            f"{one.example}: {one.remedy}"
        )
    if findings:
        return 1
    sizes = [
        (name, size.files, f"{size.size_bytes / 1e6:,.1f}", size.entries)
        for name, version in lake.versions().items()
        if version >= 0
        for size in [size_of(lake, name)]
    ]
    print_table(["table", "files", "MB", "log files"], sizes)
    if orphans := find_orphans(lake, datetime.now(UTC)):
        left = ", ".join(f"{keys.num_rows:,} in {name}" for name, keys in orphans.items())
        print(f"left by attempts that did not end, or are still at work: {left}")
    if behind := unpublished(lake):
        print(
            f"catalog.duckdb does not show the newest rows of {', '.join(behind)}: a run is "
            "active, or ended before it published; the next run publishes, and so does "
            "`nightscribe lake maintain`"
        )
    print("nothing is wrong")
    return 0
