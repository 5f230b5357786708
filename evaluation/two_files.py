"""The reports on a file of hypotheses: a page, Markdown and JSON."""

from __future__ import annotations

import json
from datetime import datetime
from pathlib import Path

from evaluation.gate.findings import Findings, as_data
from evaluation.measure.scoring import Evaluation
from evaluation.pairs.from_files import Joined
from evaluation.report.contents import Facts
from evaluation.report.html import render_html
from evaluation.report.markdown import render_markdown
from evaluation.report.no_speech import no_speech, no_speech_data


def facts_of_files(
    joined: Joined, references: Path, hypotheses: Path, created_at: datetime
) -> Facts:
    """The head of the reports: the files, and how many ids only one of them has."""
    return Facts(
        title="Transcripts against references",
        created_at=created_at,
        details={
            "References": str(references),
            "Hypotheses": str(hypotheses),
            "Not compared": f"{joined.missing} of {sum(joined.references.values())} references "
            f"without hypothesis, {len(joined.only_in_hypotheses)} hypotheses without reference",
        },
    )


def reports_of_files(
    evaluation: Evaluation, facts: Facts, findings: Findings | None
) -> dict[str, str]:
    """File name → content: `report.html`, `report.md` and `scores.json`."""
    data = {
        "created_at": facts.created_at.isoformat(),
        "details": facts.details,
        "scores": evaluation.scores.to_pylist(),
        "averages": evaluation.averages.to_pylist(),
        "confusion": evaluation.confusion.to_pylist(),
        "no_speech": no_speech_data(no_speech(evaluation)),
        **({} if findings is None else as_data(findings)),
    }
    return {
        "report.html": render_html(evaluation, facts, findings),
        "report.md": render_markdown(evaluation, facts, findings),
        "scores.json": json.dumps(data, ensure_ascii=False, indent=1) + "\n",
    }
