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
    """The file as it is if browsers play it, else its decoded samples as WAV."""
    found = site.snapshots.rows(
        "SELECT recording_id, container, codec, size_bytes FROM recordings WHERE recording_id = ?",
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

    def chunks() -> Iterator[bytes]:
        for at in range(start, end, _CHUNK):
            yield file.read(at, min(_CHUNK, end - at))

    return StreamingResponse(
        chunks() if request.method == "GET" else iter(()),
        status_code=206 if wanted else 200,
        media_type=file.media_type,
        headers=headers,
    )
