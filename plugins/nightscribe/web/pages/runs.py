"""What a run of a DAG made, or one of its tasks: where Airflow's pages of both lead."""

from __future__ import annotations

import re
from typing import Any

from fastapi import APIRouter, HTTPException, Request
from fastapi.responses import HTMLResponse, RedirectResponse, Response
from starlette.concurrency import run_in_threadpool

from nightscribe.web.places import places_of
from nightscribe.web.rendering import page
from nightscribe.web.site import Site, SiteHere
from nightscribe.web.snapshot import Snapshots

__all__ = ["router"]

router = APIRouter()

_MOST = 500
_MAP_INDEX = re.compile(r"\d{1,9}")


@router.get("/runs/{dag_id}/{run_id}", response_class=HTMLResponse)
def run(request: Request, dag_id: str, run_id: str, site: SiteHere) -> HTMLResponse:
    """How far a run is, on which workers; its account, transcripts and rejections."""
    snapshots = site.snapshots
    progress = snapshots.rows("FROM runs WHERE run_id = ?", [run_id])
    return page(
        request,
        "run.html",
        dag_id=dag_id,
        run_id=run_id,
        task="",
        batches=[],
        progress=progress[0] if progress else None,
        workers=snapshots.rows(
            """SELECT split_part(worker, ':', 1) AS worker, device, count(*) AS batches,
                 sum(transcripts)::BIGINT AS transcripts, sum(audio_s) AS audio_s,
                 sum(audio_s) / nullif(sum(wall_s), 0) AS rtfx, max(created_at) AS newest
               FROM batches WHERE run_id = ? GROUP BY ALL ORDER BY worker, device""",
            [run_id],
        ),
        accounts=snapshots.rows("FROM accounts WHERE run_id = ? ORDER BY collection", [run_id]),
        transcripts=_transcripts(snapshots, "run_id = ?", [run_id]),
        rejections=snapshots.rows(
            f"SELECT uri, reason, detail FROM rejected WHERE run_id = ? ORDER BY uri LIMIT {_MOST}",
            [run_id],
        ),
    )


@router.get("/runs/{dag_id}/{run_id}/{task_id}/{map_index}", response_class=HTMLResponse)
async def task_instance(
    request: Request, dag_id: str, run_id: str, task_id: str, map_index: str, site: SiteHere
) -> HTMLResponse:
    """What a task instance made: its batches and their transcripts.

    Airflow leaves its placeholder in the place of `map_index` if a task is not mapped. Without
    known batches, this is the page of the run.
    """
    index = int(map_index) if _MAP_INDEX.fullmatch(map_index) else -1
    batches = await site.runs.batches(request, dag_id, run_id, task_id, index)
    if not batches:
        return await run_in_threadpool(run, request, dag_id, run_id, site)
    task = task_id if index < 0 else f"{task_id} {index}"
    return await run_in_threadpool(_of_batches, request, site, dag_id, run_id, task, batches)


def _of_batches(
    request: Request, site: Site, dag_id: str, run_id: str, task: str, batches: list[str]
) -> HTMLResponse:
    snapshots = site.snapshots
    return page(
        request,
        "run.html",
        dag_id=dag_id,
        run_id=run_id,
        task=task,
        batches=snapshots.rows(
            """SELECT device, transcripts, rejections, audio_s, wall_s, rtfx, peak_memory_bytes,
                 worker
               FROM batches WHERE run_id = ? AND batch_id IN (SELECT unnest(?))
               ORDER BY created_at""",
            [run_id, batches],
        ),
        progress=None,
        workers=[],
        accounts=[],
        transcripts=_transcripts(
            snapshots, "run_id = ? AND batch_id IN (SELECT unnest(?))", [run_id, batches]
        ),
        rejections=[],
    )


def _transcripts(
    snapshots: Snapshots, condition: str, parameters: list[Any]
) -> list[dict[str, Any]]:
    rows = snapshots.rows(
        f"""SELECT recording_id, task, language, model, duration_s FROM transcripts
            WHERE {condition} ORDER BY created_at, transcript_id LIMIT {_MOST}""",
        parameters,
    )
    places = places_of(snapshots, [row["recording_id"] for row in rows])
    return [row | {"name": places[row["recording_id"]].name} for row in rows]


@router.get("/airflow/runs/{run_id}")
async def in_airflow(request: Request, run_id: str, site: SiteHere) -> Response:
    """Leads to the page of a run in Airflow: rows of the lake do not name the DAG."""
    link = await site.runs.link(request, run_id)
    if link is None:
        raise HTTPException(404, f"Airflow has no run {run_id} that you may see.")
    return RedirectResponse(link, 303)
