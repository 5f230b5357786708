"""List the transcripts that Whisper itself doubts, with the reasons and where to listen.

Reasons, of a segment: avg_logprob (its words are improbable), compression_ratio (it repeats
itself), no_speech_prob (text where there may be silence), temperature (the first attempt failed).
Of a transcript: language_probability (the language may be another one). It needs no references.

examples:
  nightscribe doubtful --lake /data/lake
  nightscribe doubtful --reason compression_ratio no_speech_prob --language de --limit 50
  nightscribe doubtful --json > doubtful.json
"""

from __future__ import annotations

import argparse
import json

from nightscribe.cli.arguments import add_lake, lake_of
from nightscribe.flags import add_list, separated
from nightscribe.lake.doubtful import REASONS
from nightscribe.text_tables import print_table


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the lake and the filters."""
    add_lake(parser)
    add_list(
        parser,
        "--reason",
        type=separated(REASONS),
        metavar="REASON",
        help=f"only transcripts with one of these: {', '.join(REASONS)}",
    )
    add_list(
        parser,
        "--language",
        type=separated(),
        metavar="CODE",
        help="only transcripts in these languages",
    )
    parser.add_argument(
        "--limit", type=int, default=1000, metavar="N", help="most rows (default: %(default)s)"
    )
    parser.add_argument("--json", action="store_true", help="print JSON instead of a table")


def execute(arguments: argparse.Namespace) -> int:
    """Print one row per transcript, those with the largest doubtful share first."""
    from nightscribe.lake.reading import connect
    from nightscribe.uris import join_uri

    wanted = """(len($reasons) = 0 OR list_has_any(reasons, $reasons))
        AND (len($languages) = 0 OR list_contains($languages, language))"""
    chosen = {"reasons": arguments.reason, "languages": arguments.language}
    with connect(lake_of(arguments)) as connection:
        rows = (
            connection.sql(
                f"""SELECT *, count(*) OVER () AS transcripts FROM doubtful WHERE {wanted}
                    ORDER BY doubtful_segments / greatest(segment_count, 1) DESC,
                      avg_logprob NULLS LAST, archive, member, task LIMIT $limit""",
                params={**chosen, "limit": arguments.limit},
            )
            .to_arrow_table()
            .to_pylist()
        )
    count = rows[0]["transcripts"] if rows else 0
    for row in rows:
        del row["transcripts"]
    if arguments.json:
        print(json.dumps(rows, indent=2, ensure_ascii=False))
        return 0
    print_table(
        ("doubtful", "worst at s", "language", "task", "reasons", "recording"),
        [
            (
                f"{row['doubtful_segments']} of {row['segment_count']}",
                None if row["worst_s"] is None else f"{row['worst_s']:.1f}",
                row["language"],
                row["task"],
                ", ".join(f"{reason} {row[reason]:.2f}" for reason in row["reasons"]),
                join_uri(row["archive"], row["member"]) if row["archive"] else row["recording_id"],
            )
            for row in rows
        ],
    )
    shown = "" if count == len(rows) else f"; the first {len(rows):,} are shown"
    print(f"Whisper doubts {count:,} of the latest transcripts{shown}")
    return 0
