"""The report as one HTML page that loads nothing else.

Transcripts, names and options come from strangers and may contain HTML: everything is escaped.
"""

from __future__ import annotations

from pathlib import Path

import jinja2
import pyarrow as pa

from evaluation.gate.findings import P_VALUES, Findings
from evaluation.languages import language_name
from evaluation.measure.scoring import Evaluation
from evaluation.pairs.table import location
from evaluation.report.averages import HEADINGS
from evaluation.report.baseline import baseline_view
from evaluation.report.contents import Facts, sections, signatures
from evaluation.report.figures import amount
from evaluation.report.limits import limits_view
from evaluation.report.links import audio_url, segments_query
from evaluation.report.no_speech import HEADINGS as HALLUCINATED
from evaluation.report.no_speech import no_speech
from evaluation.report.published import SOURCE
from evaluation.report.systems import system_facts


def render_html(
    evaluation: Evaluation,
    facts: Facts,
    findings: Findings | None = None,
    history: pa.Table | None = None,
    systems: pa.Table | None = None,
) -> str:
    """A self-contained page.

    Args:
        findings: what is beyond a limit and what changed since the baseline; they come first
        history: scores of this and earlier evaluations, as from `trends.history`
        systems: models and options, as from `systems.systems`
    """
    against = findings.against if findings else None
    template = _environment().get_template("report.html")
    return template.render(
        facts=facts,
        sections=sections(evaluation, history),
        no_speech=no_speech(evaluation),
        no_speech_headings=HALLUCINATED,
        signatures=signatures(evaluation.scores),
        average_headings=HEADINGS,
        systems=[] if systems is None else [system_facts(row) for row in systems.to_pylist()],
        language_name=language_name,
        amount=amount,
        location=location,
        audio_url=audio_url,
        segments_query=segments_query,
        against=against and baseline_view(against),
        limits=findings and limits_view(findings),
        p_values=P_VALUES,
        published_source=SOURCE,
    )


def _environment() -> jinja2.Environment:
    return jinja2.Environment(
        loader=jinja2.FileSystemLoader(Path(__file__).parent),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=jinja2.StrictUndefined,
    )
