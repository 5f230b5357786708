"""The report's tables as GitHub-flavoured Markdown; only the HTML has charts.

Transcripts, names and options come from strangers and may contain markup: everything is escaped.
"""

from __future__ import annotations

import re

from evaluation.gate.findings import P_VALUES, Findings
from evaluation.measure.scoring import Evaluation
from evaluation.pairs.table import location
from evaluation.report.averages import HEADINGS as AVERAGES
from evaluation.report.baseline import HEADINGS, BaselineView, baseline_view
from evaluation.report.contents import Facts, Section, Worst, sections, signatures
from evaluation.report.figures import amount
from evaluation.report.headline_table import HeadlineRow
from evaluation.report.limits import LimitsView, limits_view
from evaluation.report.matrices import Matrix
from evaluation.report.no_speech import HEADINGS as HALLUCINATED
from evaluation.report.no_speech import TEXT_HEADINGS, NoSpeech, no_speech
from evaluation.report.published import SOURCE


def render_markdown(evaluation: Evaluation, facts: Facts, findings: Findings | None = None) -> str:
    """The whole report, ending in a newline."""
    lines = [f"# {_escaped(facts.title)}", "", f"{facts.created_at:%Y-%m-%d %H:%M %Z}".strip(), ""]
    lines += [f"- {_escaped(name)}: {_escaped(value)}" for name, value in facts.details.items()]
    if findings is not None:
        lines += _limits(limits_view(findings))
    if findings is not None and findings.against is not None:
        lines += _baseline(baseline_view(findings.against))
    for section in sections(evaluation):
        lines += _section(section)
    for part in no_speech(evaluation):
        lines += _no_speech(part)
    lines += ["", "## How this was measured", "", "95 % intervals are in parentheses.", ""]
    lines += _table(
        ["Metric", "Languages", "Signature"],
        [[metric, languages, text] for metric, languages, text in signatures(evaluation.scores)],
    )
    return "\n".join(lines) + "\n"


def _limits(view: LimitsView | None) -> list[str]:
    if view is None:
        return []
    lines = ["", "## Limits", "", _escaped(view.summary)]
    if view.messages:
        lines += ["", *(f"- {_escaped(message)}" for message in view.messages)]
    return lines


def _baseline(view: BaselineView) -> list[str]:
    lines = ["", f"## {_escaped(view.title)}", "", _escaped(view.summary)]
    if view.messages:
        lines += ["", *(f"- {_escaped(message)}" for message in view.messages)]
    rows = [[getattr(row, name) for name in HEADINGS] for row in view.rows]
    return [*lines, "", *_table(list(HEADINGS.values()), rows), "", _escaped(P_VALUES)]


def _section(section: Section) -> list[str]:
    system = section.system
    lines = ["", f"## {_escaped(system.dataset)}, model {_escaped(system.model)}", ""]
    lines += _headline_table(section.rows)
    if section.averages:
        rows = [list(cells) for cells in section.averages]
        lines += ["", "### Averages over languages", "", *_table(list(AVERAGES), rows)]
    if section.has_published:
        lines += ["", f"Published: {_escaped(SOURCE)}."]
    for matrix in section.matrices:
        lines += _confusions(matrix)
    return lines + _recordings(section.worst)


def _headline_table(rows: list[HeadlineRow]) -> list[str]:
    return _table(
        [
            "Language",
            "Error rate %",
            "of",
            "Published %",
            "Comparable %",
            "BLEU",
            "chrF++",
            "LID %",
            "Scored of references",
            "Hours",
            "S / D / I",
            "CER %",
            "CER NFC %",
            "WER raw %",
            "WER Leaderboard %",
            "Invented %",
            "Missing %",
            "Over silence %",
        ],
        [
            [
                row.label,
                row.error_rate,
                row.error_metric,
                row.published,
                row.comparable,
                row.bleu,
                row.chrf,
                row.lid,
                row.pairs,
                row.hours,
                row.counts,
                row.cer,
                row.cer_nfc,
                row.wer_raw,
                row.leaderboard,
                row.invented,
                row.missing,
                row.over_silence,
            ]
            for row in rows
        ],
    )


def _confusions(matrix: Matrix) -> list[str]:
    if not matrix.confusions:
        return []
    rows = [[spoken, detected, str(count)] for spoken, detected, count in matrix.confusions]
    heading = ["", "### Languages detected as others", ""]
    return heading + _table(["Spoken", "Detected", "Recordings"], rows)


def _recordings(worst: list[Worst]) -> list[str]:
    if not worst:
        return []
    rows = [
        [
            group.label,
            group.task,
            location(recording.pair),
            amount(recording),
            recording.pair["reference"],
            recording.pair["hypothesis"],
        ]
        for group in worst
        for recording, _ in group.recordings
    ]
    headings = ["Language", "Task", "Recording", "Errors", "Reference", "Hypothesis"]
    return ["", "### Recordings to listen to", "", *_table(headings, rows)]


def _no_speech(part: NoSpeech) -> list[str]:
    title = f"{part.dataset}, {part.task}: recordings without speech, model {part.system}"
    lines = ["", f"## {_escaped(title)}", "", *_table([*HALLUCINATED], _cells(part))]
    if part.texts:
        rows = [[text, str(count)] for text, count in part.texts]
        lines += ["", "### What was invented most often", "", *_table([*TEXT_HEADINGS], rows)]
    return lines


def _cells(part: NoSpeech) -> list[list[str]]:
    return [[*row.cells] for row in part.rows]


def _table(headings: list[str], rows: list[list[str]]) -> list[str]:
    lines = [headings, ["---"] * len(headings)] + [[_escaped(cell) for cell in row] for row in rows]
    return ["| " + " | ".join(cells) + " |" for cells in lines]


def _escaped(text: str) -> str:
    """Text that Markdown shows as it is, on one line."""
    return re.sub(r"([\\`*_\[\]<>|#~&])", r"\\\1", " ".join(text.split()))
