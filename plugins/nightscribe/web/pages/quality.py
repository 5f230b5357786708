"""Quality: the figures of an evaluation, what its gate said of them, and the baselines."""

from __future__ import annotations

from fastapi import APIRouter, HTTPException, Request
from fastapi.responses import HTMLResponse, Response

from nightscribe.web.gate import gate_of
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
  count(DISTINCT (dataset, language, variety)) AS groups
FROM scores WHERE score_id = coalesce(?, score_id)
GROUP BY score_id
ORDER BY max(sequence) DESC NULLS LAST, created_at DESC, score_id LIMIT 50"""

# A group without a baseline has one verdict for all its figures. A figure may have a limit, too.
_FIGURES = """SELECT s.dataset, coalesce(s.variety, s.language) AS language, s.task, s.model_id,
  s.model, s.options_key, s.metric, s.value, s.ci_low, s.ci_high, s.utterances, s.of_references,
  s.substitutions, s.deletions, s.insertions,
  v.verdict, v.action, v.baseline, v.value AS compared_value, v.p_value, v.margin,
  v.utterances AS compared, v.baseline_utterances, l.verdict AS of_limit, l.limit_points
FROM scores AS s LEFT JOIN verdicts AS v
ON (s.score_id, s.dataset, s.language, s.task, s.model_id, s.options_key)
 = (v.score_id, v.dataset, v.language, v.task, v.model_id, v.options_key)
 AND s.variety IS NOT DISTINCT FROM v.variety
 AND (s.metric = v.metric OR v.verdict = 'no baseline') AND v.limit_points IS NULL
LEFT JOIN verdicts AS l
ON (s.score_id, s.dataset, s.language, s.task, s.model_id, s.options_key, s.metric)
 = (l.score_id, l.dataset, l.language, l.task, l.model_id, l.options_key, l.metric)
 AND s.variety IS NOT DISTINCT FROM l.variety AND l.limit_points IS NOT NULL
WHERE s.score_id = ? AND s.headline
ORDER BY s.dataset, s.task, s.language, s.variety, s.model, s.options_key, s.metric"""

_FOUND = """SELECT * REPLACE (coalesce(variety, language) AS language) FROM verdicts
WHERE score_id = ? AND (closes OR verdict IN
    ('worse', 'beyond limit', 'missing', 'incomplete', 'too few to tell'))
ORDER BY closes DESC, verdict = 'too few to tell', dataset, task, language, metric"""

_TREND = """SELECT s.created_at, s.value FROM scores AS s
WHERE headline AND dataset = ? AND coalesce(variety, language) = ? AND task = ?
  AND model_id = ? AND options_key = ? AND metric = ?
ORDER BY sequence DESC NULLS LAST, created_at DESC, score_id LIMIT 30"""

_BASELINES = """SELECT dataset, coalesce(variety, language) AS language, task,
  any_value(model) AS model, count(*) AS recordings, any_value(reason) AS reason,
  max(created_at) AS created_at
FROM latest_baselines GROUP BY ALL ORDER BY ALL"""


@router.get("/quality", response_class=HTMLResponse)
def quality(request: Request, site: SiteHere, evaluation: str = "") -> HTMLResponse:
    """The page; of the newest evaluation unless `evaluation` names another."""
    snapshots = site.snapshots
    evaluations = snapshots.rows(_EVALUATIONS, [None])
    chosen = snapshots.rows(_EVALUATIONS, [evaluation]) if evaluation else evaluations[:1]
    if evaluation and not chosen:
        raise HTTPException(404, "There is no such evaluation.")
    shown = chosen[0] if chosen else None
    figures = snapshots.rows(_FIGURES, [shown["score_id"]]) if shown else []
    for figure in figures:
        keys = ("dataset", "language", "task", "model_id", "options_key", "metric")
        trend = snapshots.rows(_TREND, [figure[key] for key in keys])
        figure["trend"] = [row["value"] for row in reversed(trend)]
    return page(
        request,
        "quality.html",
        evaluations=evaluations,
        shown=shown,
        figures=figures,
        gate=gate_of(snapshots, shown["score_id"]) if shown else None,
        found=snapshots.rows(_FOUND, [shown["score_id"]]) if shown else [],
        baselines=snapshots.rows(_BASELINES),
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
