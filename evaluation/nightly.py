"""Score a whole lake: pairs in, `scores` rows and reports out. What the DAG and the CLI call."""

from __future__ import annotations

import json
import uuid
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import version

import pyarrow as pa

from evaluation.from_lake import pairs
from evaluation.report import Facts, render_html, render_markdown
from evaluation.scoring import confusion, score
from evaluation.summary import text_table
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


def evaluate_lake(lake: Lake, run_id: str) -> Evaluated | None:
    """Score every transcript that has a reference; commit the scores, store the reports.

    The reports are kept under `reports/<score_id>/` in the lake, and the newest also as
    `reports/latest.*`. None if no transcript has a reference.
    """
    with connect(lake) as connection:
        compared = pairs(connection)
    if compared.num_rows == 0:
        return None
    scores, confused = score(compared), confusion(compared)
    score_id = uuid.uuid4().hex
    now = datetime.now(UTC)
    stamps = {"score_id": score_id, "run_id": run_id, "created_at": now}
    rows = [{**row, **stamps} for row in scores.to_pylist()]
    lake.append("scores", pa.Table.from_pylist(rows, schema=SCHEMAS["scores"]))
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
        "report.html": render_html(scores, confused, compared, facts),
        "report.md": render_markdown(scores, confused, compared, facts),
        "scores.json": json.dumps(scores.to_pylist(), ensure_ascii=False, indent=1),
    }
    uris = []
    for name, text in reports.items():
        lake.put_file(f"reports/{score_id}/{name}", text.encode())
        uris.append(lake.put_file(f"reports/latest/{name}", text.encode()))
    return Evaluated(score_id, scores, text_table(scores), reports, uris)
