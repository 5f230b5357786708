"""Score a whole lake: pairs in, `scores` rows and reports out. What the DAG and the CLI call."""

from __future__ import annotations

import json
import uuid
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import version

import pyarrow as pa

from evaluation.against import Against, against, as_data
from evaluation.baselines import Chosen, newest_systems, two_systems
from evaluation.from_lake import baseline_pairs, history, pairs
from evaluation.gate import Rules
from evaluation.report import WORST_PER_LANGUAGE, Facts, render_html, render_markdown
from evaluation.scoring import evaluate
from evaluation.summary import text_table
from evaluation.trends import EVALUATIONS
from nightscribe.lake.catalog import connect
from nightscribe.lake.schema import SCHEMAS
from nightscribe.lake.store import Lake

_VERSIONS = ("nightscribe", "openai-whisper", "jiwer", "sacrebleu")


@dataclass(frozen=True)
class Evaluated:
    """What an evaluation came to."""

    score_id: str
    scores: pa.Table
    table: str  # plain text, for a terminal or a log
    reports: dict[str, str]  # file name → content
    uris: list[str]  # where the reports lie in the lake
    against: Against | None  # the newest transcripts beside their baselines, if there are any


def evaluate_lake(
    lake: Lake, run_id: str, rules: Rules | None = None, other: Chosen | None = None
) -> Evaluated | None:
    """Score every transcript that has a reference; commit the scores, store the reports.

    What was transcribed last is compared with its baselines (see `baselines`), or with what another
    system that is in the lake made of the same recordings, and judged by the rules, or the default
    ones. The reports are kept under `reports/<score_id>/` in the lake, and
    the newest also as `reports/latest/`. None if no transcript has a reference.
    """
    with connect(lake) as connection:
        compared, baseline = pairs(connection), baseline_pairs(connection)
    if compared.num_rows == 0:
        return None
    candidate = newest_systems(compared)
    if other is not None:
        baseline, candidate = two_systems(compared, other)
    beside = against(baseline, candidate, rules or Rules()) if baseline.num_rows else None
    evaluation = evaluate(compared, WORST_PER_LANGUAGE)
    scores = evaluation.scores
    score_id = uuid.uuid4().hex
    now = datetime.now(UTC)
    stamps = {"score_id": score_id, "run_id": run_id, "created_at": now}
    rows = [{**row, **stamps} for row in scores.to_pylist()]
    lake.append("scores", pa.Table.from_pylist(rows, schema=SCHEMAS["scores"]))
    with connect(lake) as connection:
        so_far = history(connection, EVALUATIONS)
    facts = Facts(
        title="Nightscribe: transcripts against references",
        created_at=now,
        details={
            "Lake": lake.uri,
            "Run": run_id,
            "Versions": ", ".join(f"{name} {version(name)}" for name in _VERSIONS),
        },
    )
    reports = {
        "report.html": render_html(evaluation, facts, beside, so_far),
        "report.md": render_markdown(evaluation, facts, beside),
        "scores.json": _json(scores.to_pylist()),
        **({} if beside is None else {"comparison.json": _json(as_data(beside))}),
    }
    uris = []
    for name, text in reports.items():
        lake.put_file(f"reports/{score_id}/{name}", text.encode())
        uris.append(lake.put_file(f"reports/latest/{name}", text.encode()))
    return Evaluated(score_id, scores, text_table(scores), reports, uris, beside)


def _json(content: object) -> str:
    return json.dumps(content, ensure_ascii=False, indent=1) + "\n"
