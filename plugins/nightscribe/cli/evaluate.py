"""Score the lake's transcripts against its references and write a report.

examples:
  nightscribe evaluate --lake /data/lake
  nightscribe evaluate --lake /data/lake --out report
"""

from __future__ import annotations

import argparse
from pathlib import Path

from nightscribe.cli.lake_arguments import add_lake, lake_of
from nightscribe.errors import ConfigurationError


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Lake and folder."""
    add_lake(parser)
    parser.add_argument("--out", type=Path, metavar="DIR", help="also copy the reports here")


def execute(arguments: argparse.Namespace) -> int:
    """Score, commit, report, and print the table; 1 if there is nothing to score."""
    # The command line is the outermost layer: it alone knows both packages.
    from evaluation.nightly import evaluate_lake
    from nightscribe.pipeline import new_run_id

    evaluated = evaluate_lake(lake_of(arguments), new_run_id())
    if evaluated is None:
        print("nothing to score: no transcript in this lake has a reference")
        return 1
    print(evaluated.table)
    if arguments.out:
        try:
            arguments.out.mkdir(parents=True, exist_ok=True)
            for name, text in evaluated.reports.items():
                (arguments.out / name).write_text(text, encoding="utf-8")
                print(arguments.out / name)
        except OSError as error:
            raise ConfigurationError(
                f"--out {arguments.out}: {error.filename} cannot be written: {error.strerror}"
            ) from error
    for uri in evaluated.uris:
        print(uri)
    return 0
