"""`python -m evaluation`: scores hypotheses from a file against references from a file."""

from __future__ import annotations

import argparse
import signal
import sys
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from evaluation.errors import InputError
from evaluation.pairs.from_files import Joined, join
from nightscribe.flags import Parser

# The other modules take a second to import (sacrebleu, matplotlib). They are imported when they
# are needed, so that wrong usage is reported at once.
if TYPE_CHECKING:
    from evaluation.gate.findings import Findings
    from evaluation.gate.rules import Rules
    from evaluation.measure.scoring import Evaluation

_DESCRIPTION = """\
Scores transcripts against references: WER, CER, BLEU, chrF++ and language identification
per language, with 95 % intervals.

Both files are .csv, .tsv or .jsonl in UTF-8 and have a column `id` (or `path`).
References: language, text (the words spoken) and/or translation (into English).
Hypotheses: text and/or translation, and language if the system detected it.
References may also have a split, speaker and session.
An empty text or translation of a hypothesis counts as it is: every word is missing.
In references, an empty text means that nothing was said; an empty translation, that there is none.
"""

_EPILOG = """\
examples:
  python -m evaluation --references refs.csv --hypotheses hyps.csv
  python -m evaluation --references refs.jsonl --hypotheses hyps.jsonl --out report/
  python -m evaluation --references refs.csv --hypotheses english.csv --task translate
  python -m evaluation --references refs.csv --hypotheses new.csv --baseline old.csv
  python -m evaluation --references refs.csv --hypotheses new.csv --baseline old.csv \\
      --gate gate.toml

exit codes:
  0  scored
  1  no reference has a hypothesis to compare with
  2  wrong usage, or a file that cannot be used
  3  scored, and the gate is closed: a language is worse than its baseline, or beyond a limit
  4  scored, and --strict found references without a hypothesis or hypotheses without a reference
  130  interrupted
"""

_SHOWN_IDS = 5
_SHOWN_CHANGES = 3

_NOTHING_TO_SCORE, _WRONG_USAGE, _GATE_FAILED, _INCOMPLETE = 1, 2, 3, 4


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; returns its exit code."""
    parser = _parser()
    options = parser.parse_args(arguments)
    try:
        rules = None if options.gate is None else _rules(options.gate)
        if rules is not None and not rules.has_limits and options.baseline is None:
            parser.error("--gate needs --baseline, the file to compare with, or limits in its file")
        return _run(options, rules)
    except InputError as error:
        _say(str(error))
        return _WRONG_USAGE
    except KeyboardInterrupt:
        _say("interrupted")
        return 128 + signal.SIGINT


def _run(options: argparse.Namespace, rules: Rules | None) -> int:
    tasks = ("transcribe", "translate") if options.task == "both" else (options.task,)
    joined = _join(options, tasks, options.hypotheses, options.model)
    baseline = None
    if options.baseline is not None:
        baseline = _join(options, tasks, options.baseline, None)
    if options.out is not None:
        _make_folder(options.out)
    _report_unmatched(joined, options.references, options.hypotheses)
    if joined.pairs.num_rows == 0:
        _say(
            f"nothing to score: no id has a text to {' or '.join(tasks)} both in "
            f"{options.references} and in {options.hypotheses}: check that the ids are spelled "
            "the same and that the columns `text` or `translation` are filled in both"
        )
        return _NOTHING_TO_SCORE
    evaluation = _evaluate(joined)
    findings = None
    if baseline is not None:
        _report_unmatched(baseline, options.references, options.baseline)
    if baseline is not None or rules is not None:
        findings = _judge(evaluation, baseline, joined, rules)
        if findings.against is None and baseline is not None:
            _say(
                f"nothing to compare: {options.hypotheses} and {options.baseline} share no id "
                "that has a reference"
            )
            return _NOTHING_TO_SCORE
    _report(evaluation, joined, options, findings)
    if rules is not None and findings is not None and findings.alarms:
        return _GATE_FAILED
    is_incomplete = joined.missing > 0 or bool(joined.only_in_hypotheses)
    return _INCOMPLETE if options.strict and is_incomplete else 0


def _parser() -> argparse.ArgumentParser:
    parser = Parser(
        prog="python -m evaluation",
        description=_DESCRIPTION,
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "--references", type=Path, required=True, metavar="FILE", help="what was said"
    )
    parser.add_argument(
        "--hypotheses", type=Path, required=True, metavar="FILE", help="what the system wrote"
    )
    parser.add_argument(
        "--out",
        type=Path,
        metavar="FOLDER",
        help="write report.html, report.md and scores.json into this folder",
    )
    parser.add_argument(
        "--task",
        choices=("transcribe", "translate", "both"),
        default="both",
        help="what to score (default: both, if the files have texts for both)",
    )
    parser.add_argument(
        "--baseline",
        type=Path,
        metavar="FILE",
        help="hypotheses to compare with, by paired tests on the ids that both files have",
    )
    parser.add_argument(
        "--gate",
        type=Path,
        metavar="FILE",
        help="rules in TOML: exit with 3 if a language is worse than the baseline by more than "
        "they tolerate, or beyond a limit",
    )
    parser.add_argument(
        "--strict",
        action="store_true",
        help="exit with 4 if a reference has no hypothesis, or a hypothesis no reference",
    )
    parser.add_argument(
        "--dataset", metavar="NAME", help="name in the report (default: the references file's name)"
    )
    parser.add_argument(
        "--model", metavar="NAME", help="name in the report (default: the hypotheses file's name)"
    )
    return parser


def _join(
    options: argparse.Namespace, tasks: tuple[str, ...], hypotheses: Path, model: str | None
) -> Joined:
    return join(
        options.references,
        hypotheses,
        tasks=tasks,
        dataset=options.dataset or options.references.stem,
        model=model or hypotheses.stem,
        others=[file for file in (options.hypotheses, options.baseline) if file is not None],
    )


def _rules(path: Path) -> Rules:
    from evaluation.gate.rules_file import read_gate

    return read_gate(path)


def _make_folder(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(
            f"{folder}: cannot be made a folder: {error.strerror}: give --out another"
        ) from error


def _report_unmatched(joined: Joined, references: Path, hypotheses: Path) -> None:
    for identifiers, here, there in (
        (joined.only_in_references, references, hypotheses),
        (joined.only_in_hypotheses, hypotheses, references),
    ):
        if identifiers:
            _say(
                f"left out {len(identifiers)} ids of {here} that are not in {there}: "
                f"{_shown(identifiers)}"
            )
    if joined.without_text:
        _say(
            f"left out {len(joined.without_text)} ids without a text in {hypotheses}, which are in "
            f"{references}: {_shown(joined.without_text)}"
        )


def _shown(identifiers: Sequence[str]) -> str:
    more = ", …" if len(identifiers) > _SHOWN_IDS else ""
    return ", ".join(repr(identifier) for identifier in identifiers[:_SHOWN_IDS]) + more


def _evaluate(joined: Joined) -> Evaluation:
    from evaluation.measure.scoring import evaluate
    from evaluation.report.contents import WORST_PER_LANGUAGE

    return evaluate(joined.pairs, WORST_PER_LANGUAGE, joined.references)


def _judge(
    evaluation: Evaluation, baseline: Joined | None, candidate: Joined, rules: Rules | None
) -> Findings:
    """Print what changed and what the gate says."""
    from evaluation.gate.findings import find, findings_summary
    from evaluation.gate.rules import Rules
    from evaluation.report.text import changed_text, comparison_text

    before = candidate.pairs.slice(0, 0) if baseline is None else baseline.pairs
    found = find(evaluation.scores, before, candidate.pairs, rules or Rules())
    compared = found.against
    if compared is not None and not compared.comparison.num_rows:
        return replace(found, against=None)
    if compared is not None:
        print(comparison_text(compared))
    if rules is not None:
        print(findings_summary(found))
        for kind, messages in found.messages().items():
            for message in messages:
                _say(f"{kind}: {message}")
    if compared is not None:
        print(changed_text(one for group in compared.changed for one in group[:_SHOWN_CHANGES]))
    return found


def _report(
    evaluation: Evaluation,
    joined: Joined,
    options: argparse.Namespace,
    findings: Findings | None,
) -> None:
    """Print the scores; write the reports if there is a folder for them."""
    from evaluation.report.text import text_table
    from evaluation.two_files import facts_of_files, reports_of_files

    print(text_table(evaluation.scores, evaluation.averages), end="")
    for text in map(str, evaluation.not_scored):
        _say(f"left out {text}")
    if options.out is None:
        return
    facts = facts_of_files(joined, options.references, options.hypotheses, datetime.now(UTC))
    _write(options.out, reports_of_files(evaluation, facts, findings))
    print(f"\nreport: {options.out / 'report.html'}")


def _write(folder: Path, reports: Mapping[str, str]) -> None:
    try:
        for name, content in reports.items():
            (folder / name).write_text(content, encoding="utf-8")
    except OSError as error:
        raise InputError(
            f"{error.filename}: cannot be written: {error.strerror}: free the space or give --out "
            "another folder"
        ) from error


def _say(message: str) -> None:
    print(f"evaluation: {message}", file=sys.stderr)


if __name__ == "__main__":
    # A reader such as `head` that goes away ends it, as it ends other programs.
    signal.signal(signal.SIGPIPE, signal.SIG_DFL)
    sys.exit(main())
