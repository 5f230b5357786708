"""Score the lake's transcripts against its references and write a report.

Where baselines are set (`nightscribe baseline`), what was transcribed last is compared with them.
With --gate, the exit code is 3 if a language is worse than its baseline beyond the gate's rules.

examples:
  nightscribe evaluate --lake /data/lake
  nightscribe evaluate --lake /data/lake --out report --gate gate.toml
  nightscribe evaluate --lake /data/lake --against large-v3
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from nightscribe.cli.lake_arguments import add_lake, lake_of
from nightscribe.errors import ConfigurationError

_GATE_FAILED = 3


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Lake and folder."""
    add_lake(parser)
    parser.add_argument("--out", type=Path, metavar="DIR", help="also copy the reports here")
    parser.add_argument("--gate", type=Path, metavar="FILE", help="rules; see docs/evaluation.md")
    parser.add_argument(
        "--against",
        metavar="MODEL",
        help="compare what other models transcribed last with this one's transcripts instead of "
        "with the baselines, and write nothing to the lake; its name, path, or the beginning of "
        "its model_id",
    )
    parser.add_argument(
        "--against-options",
        metavar="KEY",
        help="of that model's options_keys, the beginning of one",
    )


def execute(arguments: argparse.Namespace) -> int:
    """Score, commit, report, and print the table; 1 if there is nothing to score or compare."""
    # The command line is the outermost layer: it alone knows both packages.
    from evaluation.errors import InputError
    from evaluation.gate.against import summary
    from evaluation.gate.rules_file import read_gate
    from evaluation.lake import evaluate_lake
    from evaluation.pairs.systems import Chosen
    from evaluation.report.text import comparison_table
    from nightscribe.stages.run_ids import new_run_id

    try:
        rules = None if arguments.gate is None else read_gate(arguments.gate)
    except InputError as error:
        raise ConfigurationError(f"--gate {error}") from error
    other = None
    if arguments.against is not None or arguments.against_options is not None:
        other = Chosen(model=arguments.against, options_key=arguments.against_options)
    evaluated = evaluate_lake(lake_of(arguments), new_run_id(), rules, other)
    if evaluated is None:
        print("nothing to score: no transcript in this lake has a reference")
        return 1
    print(evaluated.table)
    found = evaluated.against
    if found is not None:
        print(comparison_table(found.comparison))
        print(summary(found))
        for kind, messages in (("worse", found.alarms), ("warning", found.warnings)):
            for message in messages:
                print(f"{kind}: {message}", file=sys.stderr)
    elif other is not None:
        print(
            "nothing to compare: of that model and of another, transcripts with a reference are "
            "needed",
            file=sys.stderr,
        )
    elif rules is not None:
        print("no baseline: set one with `nightscribe baseline set`", file=sys.stderr)
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
    if other is not None and found is None:
        return 1
    return _GATE_FAILED if rules is not None and found is not None and found.alarms else 0
