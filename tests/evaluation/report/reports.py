"""Reports on pairs, with the head that the tests look for."""

from __future__ import annotations

from datetime import UTC, datetime

import pyarrow as pa

from evaluation.measure.scoring import evaluate
from evaluation.report.contents import WORST_PER_LANGUAGE, Facts
from evaluation.report.html import render_html
from evaluation.report.markdown import render_markdown

FACTS = Facts(
    title="Evaluation of tonight",
    created_at=datetime(2025, 3, 1, 4, 30, tzinfo=UTC),
    details={"Model": "tiny", "Options": '{"beam_size": 5}'},
)


def html(pairs: pa.Table) -> str:
    return render_html(evaluate(pairs, WORST_PER_LANGUAGE), FACTS)


def markdown(pairs: pa.Table) -> str:
    return render_markdown(evaluate(pairs, WORST_PER_LANGUAGE), FACTS)
