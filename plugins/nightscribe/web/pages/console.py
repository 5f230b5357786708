"""SQL: queries of people over the lake's views."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from functools import partial
from typing import Any, Literal

from fastapi import APIRouter, HTTPException, Query, Request
from fastapi.responses import HTMLResponse, Response, StreamingResponse
from starlette.concurrency import run_in_threadpool
from starlette.types import Message, Receive, Scope, Send

from nightscribe.lake.views import VIEWS
from nightscribe.web.console.answers import QueryFailed, Rows
from nightscribe.web.console.console import Download
from nightscribe.web.rendering import page
from nightscribe.web.site import SiteHere

__all__ = ["EXAMPLES", "router"]

router = APIRouter()

EXAMPLES = (
    (
        "Hours by language",
        "SELECT language, count(*) AS transcripts, sum(duration_s) / 3600 AS hours\n"
        "FROM latest_transcripts\nGROUP BY ALL ORDER BY hours DESC",
    ),
    (
        "Where a word was said",
        "SELECT member, start_s, text\nFROM search\nWHERE text ILIKE '%lighthouse%'",
    ),
    (
        "Least certain segments",
        "SELECT recording_id, start_s, avg_logprob, text\nFROM segments\n"
        "ORDER BY avg_logprob LIMIT 50",
    ),
    (
        "Why inputs were rejected",
        "SELECT reason, count(*) AS inputs, max(created_at) AS newest\nFROM rejected\nGROUP BY ALL",
    ),
    ("Account of every run", "FROM accounts\nORDER BY created_at DESC"),
    ("Word error rates", "FROM latest_scores\nWHERE metric = 'wer' AND headline"),
)
"""Title → query."""

_STALLED_S = 60.0  # a reader that takes nothing for so long has gone
_TYPES = {"csv": "text/csv; charset=utf-8", "parquet": "application/vnd.apache.parquet"}
_COLUMNS = """SELECT table_name, column_name, data_type FROM information_schema.columns
WHERE table_schema = 'main' ORDER BY table_name, ordinal_position"""


@router.get("/sql", response_class=HTMLResponse)
async def sql(
    request: Request,
    site: SiteHere,
    q: str = "",
    after: int = Query(0, ge=0, le=1_000_000),
) -> HTMLResponse:
    """The editor; with `q`, the rows of the query from row `after` on."""
    columns = await run_in_threadpool(site.snapshots.kept_rows, _COLUMNS)
    rows, error, status = None, "", 200
    if q.strip():
        try:
            rows = await site.console.rows(q, after, partial(_gone, request))
        except QueryFailed as failed:
            error, status = failed.detail, failed.status
    size = site.console.limits.page_rows
    return page(
        request,
        "sql.html",
        status,
        text=q,
        rows=rows,
        error=error,
        first=after + 1,
        earlier=max(after - size, 0) if after else None,
        following=_following(rows, after, size),
        examples=EXAMPLES,
        views=_views(columns),
        limits=site.console.limits,
    )


async def _gone(request: Request) -> None:
    """Wait until the browser has closed the connection."""
    while (await request.receive())["type"] != "http.disconnect":
        pass


def _following(rows: Rows | None, after: int, size: int) -> int | None:
    return after + size if rows is not None and after + size < rows.count else None


def _views(columns: list[dict[str, Any]]) -> list[tuple[str, str, list[tuple[str, str]]]]:
    """Name, comment and columns of each view."""
    found: dict[str, list[tuple[str, str]]] = {name: [] for name in VIEWS}
    for row in columns:
        if row["table_name"] in found:
            found[row["table_name"]].append((row["column_name"], row["data_type"]))
    return [(name, comment, found[name]) for name, (comment, _) in VIEWS.items()]


class _Sent(StreamingResponse):
    """Sends a download, and closes it however that ends."""

    def __init__(self, download: Download, media_type: str, headers: dict[str, str]) -> None:
        super().__init__(download.chunks(), media_type=media_type, headers=headers)
        self._download = download

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def send_soon(message: Message) -> None:
            async with asyncio.timeout(_STALLED_S):
                await send(message)

        try:
            await super().__call__(scope, receive, send_soon)
        finally:
            self._download.close()


@router.get("/sql/result.{form}")
async def result(
    request: Request,
    form: Literal["csv", "parquet"],
    site: SiteHere,
    q: str = "",
) -> Response:
    """All rows of a query as a file."""
    try:
        found = await site.console.download(q, form, partial(_gone, request))
    except QueryFailed as failed:
        raise HTTPException(failed.status, failed.detail) from failed
    now = datetime.now(UTC).strftime("%Y%m%d-%H%M%S")
    return _Sent(
        found,
        media_type=_TYPES[form],
        headers={
            "content-disposition": f'attachment; filename="nightscribe-{now}.{form}"',
            "content-length": str(found.size),
        },
    )
