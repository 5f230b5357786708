"""The audio of a recording, by range, as a browser can play it."""

from __future__ import annotations

from collections.abc import Iterator

from fastapi import APIRouter, HTTPException, Request
from fastapi.responses import Response, StreamingResponse

from nightscribe.errors import NightscribeError
from nightscribe.web.pages.recording import RecordingId
from nightscribe.web.ranges import NotSatisfiable, byte_range
from nightscribe.web.site import SiteHere

__all__ = ["router"]

router = APIRouter()

_CHUNK = 256 * 1024


@router.api_route("/media/{recording_id}", methods=["GET", "HEAD"])
def media(request: Request, recording_id: RecordingId, site: SiteHere) -> Response:
    """The file as it is if browsers play it, else as WAV, decoded where it is played."""
    found = site.snapshots.rows(
        "SELECT recording_id, container, codec, size_bytes, duration_s FROM recordings "
        "WHERE recording_id = ?",
        [recording_id],
    )
    sources = site.snapshots.rows(
        "SELECT archive, member FROM present_sources WHERE recording_id = ? ORDER BY ALL",
        [recording_id],
    )
    if not found:
        raise HTTPException(404, "There is no such recording.")
    try:
        file = site.audio.of(found[0], [(row["archive"], row["member"]) for row in sources])
    except NightscribeError as error:
        raise HTTPException(404, str(error)) from error
    headers = {"accept-ranges": "bytes", "cache-control": "private, max-age=3600"}
    try:
        wanted = byte_range(request.headers.get("range"), file.size)
    except NotSatisfiable:
        headers["content-range"] = f"bytes */{file.size}"
        return Response(status_code=416, headers=headers)
    start, end = wanted or (0, file.size)
    headers["content-length"] = str(end - start)
    if wanted:
        headers["content-range"] = f"bytes {start}-{end - 1}/{file.size}"

    first = b""
    if request.method == "GET":
        try:
            first = file.read(start, min(_CHUNK, end - start))
        except (NightscribeError, OSError) as error:
            raise HTTPException(404, str(error)) from error

    def chunks() -> Iterator[bytes]:
        at, part = start, first
        while part:
            yield part
            at += len(part)
            # An error ends the connection before all bytes are sent, which the player notices.
            part = file.read(at, min(_CHUNK, end - at)) if at < end else b""

    return StreamingResponse(
        chunks(),
        status_code=206 if wanted else 200,
        media_type=file.media_type,
        headers=headers,
    )
