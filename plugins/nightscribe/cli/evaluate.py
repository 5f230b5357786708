"""Score the transcripts of a lake against its references and write a report.

The scores and the report are kept in the lake. If baselines are set (`nightscribe baseline`), the
newest transcripts are compared with them. With --gate, the exit code is 3 if a language is worse
than its baseline by more than the rules allow, or beyond a limit. With --strict, it is 4 if a
reference has no transcript of a model that transcribed others.

examples:
  nightscribe evaluate --lake /data/lake
  nightscribe evaluate --lake /data/lake --out report --gate gate.toml
  nightscribe evaluate --lake /data/lake --against large-v3
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Mapping
from pathlib import Path

from nightscribe.cli.arguments import add_lake, lake_of
from nightscribe.errors import ConfigurationError
from nightscribe.whole_file import whole_file

_GATE_FAILED, _INCOMPLETE = 3, 4


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the lake, the report folder, and what to compare with."""
    add_lake(parser)
    parser.add_argument(
        "--out", type=Path, metavar="DIR", help="folder to copy the report to, besides the lake"
    )
    parser.add_argument(
        "--gate", type=Path, metavar="FILE", help="rules of the gate, see docs/evaluation.md"
    )
    parser.add_argument(
        "--strict",
        action="store_true",
        help="exit with 4 if a reference has no transcript of a model that transcribed others of "
        "its data set",
    )
    parser.add_argument(
        "--against",
        metavar="MODEL",
        help="compare the newest transcripts of other models with those of this model, not with "
        "the baselines, and write nothing to the lake; a name, a path, or the first digits of a "
        "model_id",
    )
    parser.add_argument(
        "--against-options",
        metavar="KEY",
        help="like --against, for transcripts with these options: an options_key, or its first "
        "digits",
    )
    parser.add_argument(
        "--model",
        help="judge or compare the newest transcripts of this model, not the newest of all, and "
        "write nothing to the lake; named as in --against",
    )
    parser.add_argument(
        "--options-key",
        metavar="KEY",
        help="like --model, for transcripts with these options",
    )


def execute(arguments: argparse.Namespace) -> int:
    """Score, commit, report and print the scores.

    Returns 1 if there is nothing to score or compare, 3 if the gate failed, 4 if references are
    left out and must not be.
    """
    # Only the outermost layer may import both packages.
    from evaluation.errors import InputError
    from evaluation.gate.findings import findings_summary
    from evaluation.gate.rules_file import read_gate
    from evaluation.lake import evaluate_lake
    from evaluation.pairs.choices import NothingToCompare
    from evaluation.pairs.systems import chosen_system
    from evaluation.report.text import comparison_text
    from nightscribe.stages.run_ids import new_run_id

    try:
        rules = None if arguments.gate is None else read_gate(arguments.gate)
    except InputError as error:
        raise ConfigurationError(f"--gate {error}") from error
    other = chosen_system(arguments.against, arguments.against_options)
    candidate = chosen_system(arguments.model, arguments.options_key)
    try:
        evaluated = evaluate_lake(lake_of(arguments), new_run_id(), rules, other, candidate)
    except NothingToCompare as error:
        print(f"nothing to compare: {error}", file=sys.stderr)
        return 1
    if evaluated is None:
        print("nothing to score: no transcript in this lake has a reference")
        return 1
    print(evaluated.table)
    for text in evaluated.left_out:
        print(f"left out: {text}", file=sys.stderr)
    findings, against = evaluated.findings, evaluated.against
    if against is not None:
        print(comparison_text(against))
    if summary := findings_summary(findings):
        print(summary)
    for kind, messages in findings.messages().items():
        for message in messages:
            print(f"{kind}: {message}", file=sys.stderr)
    if against is None and other is None and rules is not None:
        print("no baseline is set: set one with `nightscribe baseline set`", file=sys.stderr)
    if arguments.out:
        _write_reports(arguments.out, evaluated.reports)
    for uri in evaluated.uris:
        print(uri)
    if rules is not None and findings.alarms:
        return _GATE_FAILED
    return _INCOMPLETE if arguments.strict and evaluated.left_out else 0


def _write_reports(folder: Path, reports: Mapping[str, str]) -> None:
    """Write the reports (file name → content) and print their paths."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for name, text in reports.items():
            with whole_file(folder / name) as path:
                path.write_text(text, encoding="utf-8")
            print(folder / name)
    except OSError as error:
        raise ConfigurationError(
            f"--out {folder}: {error.filename} cannot be written: {error.strerror}"
        ) from error
