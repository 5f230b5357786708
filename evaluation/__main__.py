"""`python -m evaluation`: scores from two files, without a lake."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from evaluation.files import InputError, Joined, join

if TYPE_CHECKING:
    from evaluation.against import Against
    from evaluation.gate import Rules

_DESCRIPTION = """\
Scores transcripts against references: WER, CER, BLEU, chrF++ and language identification
per language, with 95 % intervals.

Both files are .csv, .tsv or .jsonl in UTF-8 and share a column `id` (or `path`).
References: language, text (the words spoken) and/or translation (into English).
Hypotheses: text and/or translation, and language where the system detected it.
An empty text means that nothing was said; an empty translation, that there is none.
"""

_EPILOG = """\
examples:
  python -m evaluation --references refs.csv --hypotheses hyps.csv
  python -m evaluation --references refs.jsonl --hypotheses hyps.jsonl --out report/
  python -m evaluation --references refs.csv --hypotheses english.csv --task translate
  python -m evaluation --references refs.csv --hypotheses new.csv --baseline old.csv
  python -m evaluation --references refs.csv --hypotheses new.csv --baseline old.csv \
      --gate gate.toml

exit codes:
  0  scored
  1  no reference has a hypothesis to compare with
  2  wrong usage, or a file that cannot be used
  3  scored, and the gate found a language that is worse than its baseline
"""

_SHOWN_IDS = 5
_SHOWN_CHANGES = 3
_GATE_FAILED = 3


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; returns its exit code."""
    parser = _parser()
    options = parser.parse_args(arguments)
    if options.gate is not None and options.baseline is None:
        parser.error("--gate needs --baseline: worse than what?")
    tasks = ("transcribe", "translate") if options.task == "both" else (options.task,)
    try:
        joined = join(
            options.references,
            options.hypotheses,
            tasks=tasks,
            dataset=options.dataset or options.references.stem,
            model=options.model or options.hypotheses.stem,
        )
        rules = None
        if options.gate is not None:
            from evaluation.gate_file import read_gate

            rules = read_gate(options.gate)
        baseline = None
        if options.baseline is not None:
            baseline = join(
                options.references,
                options.baseline,
                tasks=tasks,
                dataset=options.dataset or options.references.stem,
                model=options.baseline.stem,
            )
        if options.out is not None:
            _make_folder(options.out)
    except InputError as error:
        print(f"evaluation: {error}", file=sys.stderr)
        return 2
    _report_unmatched(joined, options.references, options.hypotheses)
    if joined.pairs.num_rows == 0:
        print(
            f"evaluation: nothing to score: no id has a text to {' or '.join(tasks)} both in "
            f"{options.references} and in {options.hypotheses}: check that the ids are spelled "
            "the same and that the columns `text` or `translation` are filled in both",
            file=sys.stderr,
        )
        return 1
    try:
        compared = None
        if baseline is not None:
            _report_unmatched(baseline, options.references, options.baseline)
            compared = _compare(baseline, joined, rules)
            if compared is None:
                print(
                    f"evaluation: nothing to compare: {options.hypotheses} and {options.baseline} "
                    "share no id that has a reference",
                    file=sys.stderr,
                )
                return 1
        _score(joined, options.out, options.references, options.hypotheses, compared)
    except OSError as error:
        print(
            f"evaluation: {error.filename}: cannot be written: {error.strerror}: free the space "
            "or give --out another folder",
            file=sys.stderr,
        )
        return 2
    return _GATE_FAILED if rules is not None and compared is not None and compared.alarms else 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m evaluation",
        description=_DESCRIPTION,
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--references", type=Path, required=True, metavar="FILE")
    parser.add_argument("--hypotheses", type=Path, required=True, metavar="FILE")
    parser.add_argument(
        "--out",
        type=Path,
        metavar="FOLDER",
        help="write report.html, report.md and scores.json here",
    )
    parser.add_argument(
        "--task",
        choices=("transcribe", "translate", "both"),
        default="both",
        help="what to score (default: both, as far as the files have texts for it)",
    )
    parser.add_argument(
        "--baseline",
        type=Path,
        metavar="FILE",
        help="hypotheses to compare with: paired bootstrap over the ids that both have",
    )
    parser.add_argument(
        "--gate",
        type=Path,
        metavar="FILE",
        help="gate.toml: exit with 3 if a language is worse than the baseline beyond its rules",
    )
    parser.add_argument("--dataset", metavar="NAME", help="default: the references file's name")
    parser.add_argument("--model", metavar="NAME", help="default: the hypotheses file's name")
    return parser


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
            shown = ", ".join(repr(identifier) for identifier in identifiers[:_SHOWN_IDS])
            more = ", …" if len(identifiers) > _SHOWN_IDS else ""
            print(
                f"evaluation: left out {len(identifiers)} ids of {here} that are not in {there}: "
                f"{shown}{more}",
                file=sys.stderr,
            )


def _compare(baseline: Joined, candidate: Joined, rules: Rules | None) -> Against | None:
    """Print what changed and what the gate says; None if the files share no recording."""
    from evaluation.against import against
    from evaluation.gate import Rules
    from evaluation.summary import comparison_table

    found = against(baseline.pairs, candidate.pairs, rules or Rules())
    if not found.comparison.num_rows:
        return None
    print(comparison_table(found.comparison))
    if rules is not None:
        for kind, messages in (("worse", found.alarms), ("warning", found.warnings)):
            for message in messages:
                print(f"evaluation: {kind}: {message}", file=sys.stderr)
    for one in (one for group in found.changed for one in group[:_SHOWN_CHANGES]):
        unit = "errors" if one.candidate["task"] == "transcribe" else "chrF++"
        how = "worse" if one.change > 0 else "better"
        pair = one.candidate
        print(f"{pair['recording_id']} ({pair['language']}): {abs(one.change):g} {unit} {how}")
        print(f"  reference  {pair['reference']}")
        print(f"  baseline   {one.baseline['hypothesis']}")
        print(f"  candidate  {pair['hypothesis']}")
    print()
    return found


def _score(
    joined: Joined,
    out: Path | None,
    references: Path,
    hypotheses: Path,
    compared: Against | None,
) -> None:
    # Scoring loads torch (see `evaluation.normalize`); wrong usage is told without the wait.
    from evaluation.against import as_data
    from evaluation.report import WORST_PER_LANGUAGE, Facts, render_html, render_markdown
    from evaluation.scoring import evaluate
    from evaluation.summary import text_table

    evaluation = evaluate(joined.pairs, WORST_PER_LANGUAGE)
    print(text_table(evaluation.scores), end="")
    if out is None:
        return
    facts = Facts(
        title="Transcripts against references",
        created_at=datetime.now(UTC),
        details={
            "References": str(references),
            "Hypotheses": str(hypotheses),
            "Not compared": f"{len(joined.only_in_references)} references without hypothesis, "
            f"{len(joined.only_in_hypotheses)} hypotheses without reference",
        },
    )
    machine_readable = {
        "created_at": facts.created_at.isoformat(),
        "details": facts.details,
        "scores": evaluation.scores.to_pylist(),
        "confusion": evaluation.confusion.to_pylist(),
        **({} if compared is None else as_data(compared)),
    }
    for name, content in (
        ("report.html", render_html(evaluation, facts, compared)),
        ("report.md", render_markdown(evaluation, facts, compared)),
        ("scores.json", json.dumps(machine_readable, ensure_ascii=False, indent=1) + "\n"),
    ):
        (out / name).write_text(content, encoding="utf-8")
    print(f"\nreport: {out / 'report.html'}")


if __name__ == "__main__":
    sys.exit(main())
