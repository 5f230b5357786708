"""Quality: the newest evaluation, and the earlier ones."""

from __future__ import annotations

from fastapi import APIRouter, HTTPException, Request
from fastapi.responses import HTMLResponse, Response

from nightscribe.web.rendering import page
from nightscribe.web.site import SiteHere

__all__ = ["router"]

# The report is one file with its styles and pictures inside. It has no script.
_REPORT_POLICY = "; ".join(
    (
        "default-src 'none'",
        "style-src 'unsafe-inline'",
        "img-src data:",
        "frame-ancestors 'self'",
        "sandbox allow-popups allow-top-navigation-by-user-activation",
    )
)

router = APIRouter()

_EVALUATIONS = """SELECT score_id, max(created_at) AS created_at, any_value(run_id) AS run_id,
  count(DISTINCT (dataset, language)) AS groups
FROM scores GROUP BY score_id ORDER BY created_at DESC, score_id LIMIT 50"""

_FIGURES = """SELECT dataset, language, task, model, metric, value, ci_low, ci_high, utterances,
  substitutions, deletions, insertions
FROM scores WHERE score_id = ? AND headline ORDER BY dataset, task, language, model, metric"""

_TREND = """SELECT s.created_at, s.value FROM scores AS s
WHERE headline AND dataset = ? AND language = ? AND task = ? AND model = ? AND metric = ?
ORDER BY created_at DESC LIMIT 30"""


@router.get("/quality", response_class=HTMLResponse)
def quality(request: Request, site: SiteHere, evaluation: str = "") -> HTMLResponse:
    """The page; of the newest evaluation unless `evaluation` names another."""
    evaluations = site.snapshots.rows(_EVALUATIONS)
    shown = next(
        (one for one in evaluations if one["score_id"] == evaluation),
        evaluations[0] if evaluations and not evaluation else None,
    )
    if evaluation and shown is None:
        raise HTTPException(404, "There is no such evaluation.")
    figures = site.snapshots.rows(_FIGURES, [shown["score_id"]]) if shown else []
    for figure in figures:
        keys = ("dataset", "language", "task", "model", "metric")
        trend = site.snapshots.rows(_TREND, [figure[key] for key in keys])
        figure["trend"] = [row["value"] for row in reversed(trend)]
    return page(
        request,
        "quality.html",
        evaluations=evaluations,
        shown=shown,
        figures=figures,
        baselines=site.snapshots.rows(
            """SELECT dataset, language, task, any_value(model) AS model, count(*) AS recordings,
                 max(created_at) AS created_at
               FROM latest_baselines GROUP BY ALL ORDER BY ALL"""
        ),
    )


@router.get("/quality/{evaluation}/report")
def report(evaluation: str, site: SiteHere) -> Response:
    """The report of an evaluation, as it was written."""
    known = site.snapshots.rows(
        "SELECT score_id FROM scores WHERE score_id = ? LIMIT 1", [evaluation]
    )
    if not known:
        raise HTTPException(404, "There is no such evaluation.")
    lake = site.snapshots.lake
    path = lake.path(f"reports/{known[0]['score_id']}/report.html")
    try:
        with lake.filesystem.open(path, "rb") as file:
            content = file.read()
    except FileNotFoundError:
        raise HTTPException(404, "The report of this evaluation is not kept.") from None
    return Response(
        content,
        media_type="text/html; charset=utf-8",
        headers={"content-security-policy": _REPORT_POLICY},
    )
