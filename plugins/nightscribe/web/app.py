"""The application: routes, errors, static files."""

from __future__ import annotations

import logging
from typing import Annotated

import duckdb
import pyarrow as pa
from deltalake.exceptions import DeltaError
from fastapi import Depends, FastAPI, HTTPException, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import Response
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException as StarletteHTTPException

from nightscribe.errors import NightscribeError
from nightscribe.lake.damage import fault_in
from nightscribe.web.access import Right, needs
from nightscribe.web.pages import PAGES
from nightscribe.web.rendering import STATIC, page
from nightscribe.web.security import Guard
from nightscribe.web.site import Site

__all__ = ["create_app"]

log = logging.getLogger(__name__)


def create_app(site: Site) -> FastAPI:
    """The pages of a site. Every route needs the right to read; some need another one too."""
    app = FastAPI(
        title="Nightscribe",
        dependencies=[Depends(needs(Right.READ))],
        openapi_url=None,
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,
    )
    app.state.site = site
    app.add_middleware(Guard)
    for router in PAGES:
        app.include_router(router)

    @app.get("/static/{name}")
    def static(name: str) -> Response:
        if name not in STATIC:
            raise HTTPException(404, "There is no such file.")
        content, kind = STATIC[name]
        return Response(content, media_type=kind, headers={"cache-control": "private, max-age=60"})

    @app.exception_handler(StarletteHTTPException)
    async def refused(request: Request, error: StarletteHTTPException) -> Response:
        return _failure(request, error.status_code, str(error.detail))

    @app.exception_handler(RequestValidationError)
    async def invalid(request: Request, error: RequestValidationError) -> Response:
        places = "; ".join(
            f"{'.'.join(map(str, one['loc'][1:]))}: {one['msg']}" for one in error.errors()
        )
        return _failure(request, 422, f"This address has a value that cannot be used: {places}")

    @app.exception_handler(NightscribeError)
    async def unusable(request: Request, error: NightscribeError) -> Response:
        return _failure(request, 503, str(error))

    @app.exception_handler(duckdb.Error)
    @app.exception_handler(OSError)
    @app.exception_handler(DeltaError)
    @app.exception_handler(pa.ArrowException)
    async def unreadable(request: Request, error: Exception) -> Response:
        log.error("a page could not be made", exc_info=error)
        fault = await run_in_threadpool(_fault, site, error)
        return _failure(request, 503, str(fault or "The lake cannot be read; load the page again."))

    return app


def _fault(site: Site, error: Exception) -> NightscribeError | None:
    try:
        return fault_in(error, site.snapshots.lake)
    except NightscribeError as second:
        return second


_TITLES = {
    400: "This query has no result",
    401: "Not logged in",
    403: "Not allowed",
    404: "Not found",
    422: "This address cannot be used",
    503: "Not available",
}


def _failure(request: Request, status: int, detail: str) -> Response:
    person = getattr(request.state, "person", None)
    may_read = person is not None and Right.READ in person.rights
    if status in (401, 403) or not may_read or not _wants_page(request):
        # Somebody who may read nothing sees nothing of the pages. An address that no route has is
        # refused before anybody asks who it is.
        return Response(detail + "\n", status, media_type="text/plain; charset=utf-8")
    return page(request, "failure.html", status, title=_TITLES.get(status, "Error"), detail=detail)


def _wants_page(request: Request) -> Annotated[bool, "by the header Accept"]:
    return "text/html" in request.headers.get("accept", "")
