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
from evaluation.from_lake import baseline_pairs, history, pairs, systems
from evaluation.gate import Rules
from evaluation.report import WORST_PER_LANGUAGE, Facts, render_html, render_markdown
from evaluation.scoring import evaluate
from evaluation.summary import text_table
from evaluation.trends import EVALUATIONS
from nightscribe.lake.reading import connect
from nightscribe.lake.schema import SCHEMAS
from nightscribe.lake.tables import Lake

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

    What was transcribed last is compared with its baselines (see `baselines`) and judged by the
    rules, or the default ones. The reports are kept under `reports/<score_id>/` in the lake, and
    the newest also as `reports/latest/`. None if no transcript has a reference.

    With `other`, what was transcribed last is compared with another system of the lake instead, and
    nothing is written.
    """
    with connect(lake) as connection:
        compared, baseline = pairs(connection), baseline_pairs(connection)
        so_far, measured = history(connection, EVALUATIONS - 1), systems(connection)
    if compared.num_rows == 0:
        return None
    candidate, what = newest_systems(compared), "the baseline"
    if other is not None:
        baseline, candidate = two_systems(compared, other)
        what = other.model or f"options {other.options_key}"
    beside = None
    if baseline.num_rows and candidate.num_rows:
        beside = against(baseline, candidate, rules or Rules(), what)
    evaluation = evaluate(compared, WORST_PER_LANGUAGE)
    scores = evaluation.scores
    score_id = uuid.uuid4().hex
    now = datetime.now(UTC)
    stamps = {"score_id": score_id, "run_id": run_id, "created_at": now}
    rows = [{**row, **stamps} for row in scores.to_pylist()]
    headlines = pa.Table.from_pylist(
        [row for row in rows if row["headline"]], schema=SCHEMAS["scores"]
    )
    so_far = pa.concat_tables([so_far, headlines.select(so_far.column_names).cast(so_far.schema)])
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
        "report.html": render_html(evaluation, facts, beside, so_far, measured),
        "report.md": render_markdown(evaluation, facts, beside),
        "scores.json": _json(scores.to_pylist()),
        **({} if beside is None else {"comparison.json": _json(as_data(beside))}),
    }
    uris: list[str] = []
    if other is not None:
        return Evaluated(score_id, scores, text_table(scores), reports, uris, beside)
    # Only now: a page that cannot be made, and is tried again, must not leave scores each time.
    lake.append("scores", pa.Table.from_pylist(rows, schema=SCHEMAS["scores"]))
    for name, text in reports.items():
        lake.put_file(f"reports/{score_id}/{name}", text.encode())
        uris.append(lake.put_file(f"reports/latest/{name}", text.encode()))
    return Evaluated(score_id, scores, text_table(scores), reports, uris, beside)


def _json(content: object) -> str:
    return json.dumps(content, ensure_ascii=False, indent=1) + "\n"
