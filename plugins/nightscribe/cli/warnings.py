"""List the recordings that are used with a warning, and the seconds that they lack.

A warning names a flaw of a recording that is used all the same: damage, a cut, a silent channel.

examples:
  nightscribe warnings --lake /data/lake
  nightscribe warnings --kind cut_short --limit 50
"""

from __future__ import annotations

import argparse
import json

from nightscribe.cli.arguments import add_lake, lake_of
from nightscribe.errors import WarningKind
from nightscribe.flags import add_list, separated
from nightscribe.text_tables import print_table

KINDS = [*(kind.value for kind in WarningKind), "unclassified"]
"""Kinds of warnings; `unclassified` are those of lakes that have no table of warnings."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the lake and the filters."""
    add_lake(parser)
    add_list(
        parser,
        "--kind",
        type=separated(KINDS),
        metavar="KIND",
        help=f"only warnings of these kinds: {', '.join(KINDS)}",
    )
    add_list(parser, "--run", metavar="ID", help="only recordings that these runs have added")
    parser.add_argument(
        "--limit", type=int, default=1000, metavar="N", help="most rows (default: %(default)s)"
    )
    parser.add_argument("--json", action="store_true", help="print JSON instead of a table")


def execute(arguments: argparse.Namespace) -> int:
    """Print one row per warning, the most missing seconds first, and the totals."""
    from nightscribe.lake.reading import read
    from nightscribe.uris import join_uri

    lake = lake_of(arguments)
    wanted = """(len($kinds) = 0 OR list_contains($kinds, kind))
        AND (len($runs) = 0 OR list_contains($runs, w.run_id))"""
    chosen = {"kinds": arguments.kind, "runs": arguments.run}
    rows = read(
        lake,
        f"""SELECT w.kind, w.missing_s, r.duration_s, w.detail, w.recording_id, archive, member
            FROM warnings AS w LEFT JOIN recordings AS r USING (recording_id)
            LEFT JOIN (SELECT recording_id, min((archive, member)) AS place,
                         place[1] AS archive, place[2] AS member
                       FROM sources GROUP BY recording_id) USING (recording_id)
            WHERE {wanted}
            ORDER BY missing_s DESC NULLS LAST, archive, member, kind LIMIT $limit""",
        **chosen,
        limit=arguments.limit,
    ).to_pylist()
    if arguments.json:
        print(json.dumps(rows, indent=2, ensure_ascii=False))
        return 0
    print_table(
        ("missing s", "of s", "kind", "recording", "detail"),
        [
            (
                None if row["missing_s"] is None else f"{row['missing_s']:.1f}",
                None if row["duration_s"] is None else f"{row['duration_s']:.1f}",
                row["kind"],
                join_uri(row["archive"], row["member"]) if row["archive"] else row["recording_id"],
                row["detail"],
            )
            for row in rows
        ],
    )
    [totals] = read(
        lake,
        f"""SELECT count(*) AS warnings, count(DISTINCT recording_id) AS recordings,
              coalesce(sum(missing_s), 0) AS missing_s FROM warnings AS w WHERE {wanted}""",
        **chosen,
    ).to_pylist()
    print(
        f"{totals['warnings']:,} warnings about {totals['recordings']:,} recordings; at least "
        f"{totals['missing_s']:.1f} s of audio are missing"
    )
    return 0
