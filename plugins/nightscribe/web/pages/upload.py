"""Upload: send recordings, follow their runs, read their texts."""

from __future__ import annotations

import asyncio
import json
import tempfile
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Annotated, Any, Literal
from urllib.parse import quote

from fastapi import APIRouter, Depends, HTTPException, Query, Request
from fastapi.responses import HTMLResponse, JSONResponse, RedirectResponse, Response
from pydantic import BaseModel, ValidationError, field_validator
from starlette.datastructures import UploadFile

from nightscribe.errors import ConfigurationError
from nightscribe.languages import LANGUAGES
from nightscribe.web.access import Right, needs
from nightscribe.web.rendering import page
from nightscribe.web.site import Site, SiteHere, Upload
from nightscribe.web.uploading import Received, Refused, check_room, receive
from nightscribe.whisper.options import Options

__all__ = ["router"]

router = APIRouter(dependencies=[Depends(needs(Right.UPLOAD))])


_FILES = 20  # of one form


class How(BaseModel):
    """How uploads are transcribed; empty values stand for what is configured."""

    model: str = ""
    task: Literal["", "transcribe", "translate", "both"] = ""
    language: str = ""
    options: str = ""  # a JSON object

    @field_validator("options")
    @classmethod
    def _can_be_decoded_with(cls, value: str) -> str:
        if not value.strip():
            return ""
        try:
            given = json.loads(value)
            if not isinstance(given, dict):
                raise ValueError('give an object such as {"word_timestamps": true}')
            mistake = Options.from_mapping(given).mistake()
        except ValueError as error:
            raise ValueError(f"these are no decoding options: {error}") from error
        except ConfigurationError as error:
            raise ValueError(str(error)) from error
        if "language" in given:
            mistake = "choose the language in its own field"
        if mistake:
            raise ValueError(mistake)
        return value

    def to_upload(self, path: Path) -> Upload:
        """What to transcribe, in this way."""
        options = json.loads(self.options) if self.options else None
        return Upload(
            str(path), self.model or None, self.task or None, self.language or None, options
        )


@router.get("/upload", response_class=HTMLResponse)
def upload(request: Request, site: SiteHere) -> HTMLResponse:
    """The form."""
    return page(
        request,
        "upload.html",
        languages=sorted(LANGUAGES.items(), key=lambda item: item[1]),
        settings=site.settings,
        max_bytes=site.settings.upload_max_bytes,
    )


@router.put("/uploads/{name}")
async def put(
    request: Request, name: str, how: Annotated[How, Query()], site: SiteHere
) -> JSONResponse:
    """Receive one file as the body; answers with the address of what comes of it."""
    length = request.headers.get("content-length", "")
    size = int(length) if length.isdigit() else None
    try:
        received = await receive(
            name, size, request.stream(), site.settings, request.is_disconnected
        )
    except Refused as refused:
        return JSONResponse({"detail": refused.detail}, refused.status)
    return JSONResponse({"address": await _begin(request, site, received, how)}, 201)


@router.post("/uploads")
async def post(request: Request, site: SiteHere) -> Response:
    """Receive the files of the form, for browsers without scripts.

    The form is read here: as parameters of the route, its files would be read before anybody asks
    who sends them.
    """
    length = request.headers.get("content-length", "")
    if not length.isdigit():
        raise HTTPException(411, "Send the length of the form.")
    try:
        check_room(Path(tempfile.gettempdir()), int(length), site.settings)
        async with request.form(max_files=_FILES, max_fields=10) as form:
            values = {name: form.get(name, "") for name in How.model_fields}
            try:
                how = How.model_validate(values)
            except ValidationError as error:
                raise HTTPException(422, str(error.errors()[0]["msg"])) from error
            files = [file for file in form.getlist("files") if isinstance(file, UploadFile)]
            address = f"{site.prefix}/upload"
            for file in files:
                received = await receive(
                    file.filename or "",
                    file.size,
                    _parts(file),
                    site.settings,
                    request.is_disconnected,
                )
                address = await _begin(request, site, received, how)
    except Refused as refused:
        raise HTTPException(refused.status, refused.detail) from refused
    return RedirectResponse(address, 303)


async def _parts(file: UploadFile) -> AsyncIterator[bytes]:
    while part := await file.read(1 << 20):
        yield part


async def _begin(request: Request, site: Site, received: Received, how: How) -> str:
    """Start a run unless the lake has the text. Returns the address of the recording or the run."""
    known = await asyncio.to_thread(_known_tasks, site, received.recording_id, how)
    wanted = how.task or site.settings.task
    tasks = {"transcribe", "translate"} if wanted == "both" else {wanted}
    if tasks <= known:
        received.discard()
        return f"{site.prefix}/recordings/{received.recording_id}"
    run_id = await site.runs.start(
        request,
        how.to_upload(received.path),
    )
    return f"{site.prefix}/uploads/{quote(run_id, safe='')}?recording={received.recording_id}"


def _known_tasks(site: Site, recording_id: str, how: How) -> set[str]:
    if how.language or how.options:
        return set()  # other options may give another text; the run finds out
    rows = site.snapshots.rows(
        "SELECT DISTINCT task FROM transcripts WHERE recording_id = ? AND model = ?",
        [recording_id, how.model or site.settings.model],
    )
    return {row["task"] for row in rows}


@router.get("/uploads/{run_id}", response_class=HTMLResponse)
async def progress(request: Request, run_id: str, site: SiteHere, recording: str = "") -> Response:
    """How far a run is; the recording's page when it is done."""
    state = await _state(request, site, run_id, recording)
    if state["address"]:
        return RedirectResponse(state["address"], 303)
    return page(request, "progress.html", run_id=run_id, recording=recording, state=state)


@router.get("/uploads/{run_id}/state")
async def progress_state(
    request: Request, run_id: str, site: SiteHere, recording: str = ""
) -> JSONResponse:
    """The same for a script."""
    return JSONResponse(await _state(request, site, run_id, recording))


async def _state(request: Request, site: Site, run_id: str, recording: str) -> dict[str, Any]:
    found = await site.runs.state(request, run_id)
    if found is None:
        raise HTTPException(404, "There is no such upload.")
    finished = found.state == "success" and recording
    if finished:  # the recording's page comes next, and has to show the run's transcripts
        site.snapshots.look_again()
    expected = await asyncio.to_thread(_expected_s, site, recording) if recording else None
    return {
        "state": found.state,
        "step": found.step,
        "detail": found.detail,
        "expected_s": expected,
        "link": found.link,
        "name": found.uri.rpartition("/")[2],
        "address": f"{site.prefix}/recordings/{quote(recording, safe='')}" if finished else None,
    }


def _expected_s(site: Site, recording_id: str) -> float | None:
    """How long a recording takes at the median speed of this lake's batches; None if unknown."""
    found = site.snapshots.rows(
        "SELECT duration_s FROM recordings WHERE recording_id = ?", [recording_id]
    )
    [speed] = site.snapshots.kept_rows("SELECT median(rtfx) AS rtfx FROM batches")
    if not found or not speed["rtfx"]:
        return None
    return float(found[0]["duration_s"] / speed["rtfx"])
