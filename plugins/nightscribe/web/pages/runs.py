"""What a run of a DAG made: where Airflow's page of a run leads."""

from __future__ import annotations

from fastapi import APIRouter, Request
from fastapi.responses import HTMLResponse

from nightscribe.web.rendering import page
from nightscribe.web.site import SiteHere

__all__ = ["router"]

router = APIRouter()

_MOST = 500


@router.get("/runs/{dag_id}/{run_id}", response_class=HTMLResponse)
def run(request: Request, dag_id: str, run_id: str, site: SiteHere) -> HTMLResponse:
    """The account, the transcripts and the rejections of a run."""
    snapshots = site.snapshots
    return page(
        request,
        "run.html",
        dag_id=dag_id,
        run_id=run_id,
        accounts=snapshots.rows("FROM accounts WHERE run_id = ? ORDER BY collection", [run_id]),
        transcripts=snapshots.rows(
            f"""SELECT t.recording_id, t.task, t.language, t.model, t.duration_s,
                  (SELECT min(member) FROM sources AS s
                   WHERE s.recording_id = t.recording_id) AS member
                FROM transcripts AS t WHERE run_id = ?
                ORDER BY created_at, transcript_id LIMIT {_MOST}""",
            [run_id],
        ),
        rejections=snapshots.rows(
            f"SELECT uri, reason, detail FROM rejected WHERE run_id = ? ORDER BY uri LIMIT {_MOST}",
            [run_id],
        ),
    )
