"""Home: what last night did, and what is in the lake."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter, Request
from fastapi.responses import HTMLResponse

from nightscribe.web.gate import gate_of
from nightscribe.web.rendering import page
from nightscribe.web.site import SiteHere

__all__ = ["router"]

router = APIRouter()

_LAST_RUN = """SELECT run_id, max(created_at) AS created_at FROM accounts
GROUP BY run_id ORDER BY max(sequence) DESC NULLS LAST, created_at DESC, run_id LIMIT 1"""

_TOTALS = """SELECT
  (SELECT count(*) FROM recordings) AS recordings,
  (SELECT sum(duration_s) FROM recordings) AS audio_s,
  (SELECT count(*) FROM transcripts) AS transcripts,
  (SELECT count(*) FROM rejected) AS rejected,
  (SELECT count(DISTINCT recording_id) FROM warnings) AS warned,
  (SELECT count(*) FROM disappeared) AS disappeared,
  (SELECT count(*) FROM doubtful ANTI JOIN (
     FROM latest_reviews WHERE verdict <> 'reopened') USING (recording_id, task)) AS doubtful,
  (SELECT count(*) FROM recordings ANTI JOIN transcripts USING (recording_id)) AS waiting"""

_LANGUAGES = """SELECT language, task, count(*) AS transcripts, sum(duration_s) AS audio_s
FROM transcripts GROUP BY ALL ORDER BY audio_s DESC LIMIT 20"""

_REASONS = """SELECT reason, count(*) AS inputs, max(created_at) AS newest
FROM rejected GROUP BY reason ORDER BY inputs DESC"""

_SPEED = """SELECT b.device, any_value(t.model) AS model, count(DISTINCT b.attempt_id) AS batches,
  sum(b.audio_s) / count(*) * count(DISTINCT b.attempt_id) AS audio_s,
  median(b.rtfx) AS rtfx, max(b.created_at) AS newest
FROM batches AS b
LEFT JOIN (SELECT DISTINCT attempt_id, model FROM transcripts) AS t USING (attempt_id)
GROUP BY b.device, b.model_id ORDER BY newest DESC LIMIT 5"""

_BASELINES = """SELECT dataset, coalesce(variety, language) AS language, task,
  count(*) AS recordings, max(created_at) AS created_at
FROM latest_baselines GROUP BY ALL ORDER BY ALL LIMIT 50"""


@router.get("/", response_class=HTMLResponse)
def home(request: Request, site: SiteHere) -> HTMLResponse:
    """The page."""
    snapshots = site.snapshots
    [totals] = snapshots.kept_rows(_TOTALS)
    last = snapshots.kept_rows(_LAST_RUN)
    accounts: list[dict[str, Any]] = []
    if last:
        accounts = snapshots.rows(
            "FROM accounts WHERE run_id = ? ORDER BY collection", [last[0]["run_id"]]
        )
    return page(
        request,
        "home.html",
        totals=totals,
        run=last[0] if last else None,
        accounts=accounts,
        languages=snapshots.kept_rows(_LANGUAGES),
        reasons=snapshots.kept_rows(_REASONS),
        speed=snapshots.kept_rows(_SPEED),
        baselines=snapshots.kept_rows(_BASELINES),
        gate=gate_of(snapshots),
    )
