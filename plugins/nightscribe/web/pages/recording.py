"""One recording: player, transcripts, where it lies, how its texts were made."""

from __future__ import annotations

import json
import re
from typing import Annotated, Literal, TypeAlias

from fastapi import APIRouter, Depends, HTTPException, Query, Request
from fastapi.responses import HTMLResponse, Response

from nightscribe.export import formats
from nightscribe.lake.doubt import FIGURES
from nightscribe.lake.transcripts import of_record, result_of
from nightscribe.web.doubt_worth import Worth, worth_of_doubt
from nightscribe.web.reading import Asked, Reading, read_recording
from nightscribe.web.rendering import page
from nightscribe.web.site import SiteHere
from nightscribe.web.snapshot import Snapshots

__all__ = ["RecordingId", "router"]

router = APIRouter()

_ID = re.compile(r"[0-9a-f]{64}")


def _checked(recording_id: str) -> str:
    if not _ID.fullmatch(recording_id):
        raise HTTPException(404, "There is no such recording.")
    return recording_id


RecordingId: TypeAlias = Annotated[str, Depends(_checked)]
"""The id in an address; 404 for what cannot be one."""


@router.get("/recordings/{recording_id}", response_class=HTMLResponse)
def recording(
    request: Request, recording_id: RecordingId, asked: Annotated[Asked, Query()], site: SiteHere
) -> HTMLResponse:
    """The page."""
    snapshots = site.snapshots
    found = snapshots.rows("FROM recordings WHERE recording_id = ?", [recording_id])
    if not found:
        raise HTTPException(404, "There is no such recording.")
    reading = read_recording(snapshots, recording_id, asked)
    return page(
        request,
        "recording.html",
        recording=found[0],
        reading=reading,
        sources=snapshots.rows(
            """SELECT s.archive, s.member, s.collection, s.metadata, s.created_at,
                 (archive, member) IN (SELECT (archive, member) FROM disappeared) AS is_gone
               FROM sources AS s WHERE recording_id = ? ORDER BY is_gone, archive, member""",
            [recording_id],
        ),
        options={
            row["transcript_id"]: json.loads(row["options"]) | {"versions": row["versions"]}
            for row in (column.transcript for column in reading.columns)
        },
        warnings=snapshots.rows(
            "SELECT kind, detail, missing_s FROM warnings WHERE recording_id = ?", [recording_id]
        ),
        formats=list(formats.FORMATS),
        figures=FIGURES,
        worth=_worth(snapshots, reading),
        may_be_of_airflow=site.runs.may_have,
        has_waveform=bool(
            snapshots.rows("SELECT 1 AS one FROM waveforms WHERE recording_id = ?", [recording_id])
        ),
    )


def _worth(snapshots: Snapshots, reading: Reading) -> Worth | None:
    """What the steps of doubt of the shown transcript's model are worth."""
    for column in reading.columns:
        if column.transcript["task"] == "transcribe":
            return worth_of_doubt(snapshots, column.transcript["model_id"])
    return None


@router.get("/recordings/{recording_id}/texts", response_class=HTMLResponse)
def texts(
    request: Request, recording_id: RecordingId, asked: Annotated[Asked, Query()], site: SiteHere
) -> HTMLResponse:
    """The texts of one part, which the player puts into the page."""
    return page(
        request,
        "recording_texts.html",
        recording={"recording_id": recording_id},
        reading=read_recording(site.snapshots, recording_id, asked),
        formats=list(formats.FORMATS),
    )


@router.get("/recordings/{recording_id}/waveform.svg")
def waveform(recording_id: RecordingId, site: SiteHere) -> Response:
    """The loudness over time, as a picture as wide as the player."""
    found = site.snapshots.rows(
        "SELECT levels FROM waveforms WHERE recording_id = ?", [recording_id]
    )
    if not found:
        raise HTTPException(404, "This recording has no waveform.")
    return Response(
        _drawn(found[0]["levels"]),
        media_type="image/svg+xml",
        headers={"cache-control": "private, max-age=3600"},
    )


def _drawn(levels: bytes) -> str:
    """An outline that is symmetrical about the middle; quiet stretches are a line."""
    # A recording is drawn up to its own loudest level.
    loudest = max(levels, default=0) or 1
    heights = [max(1, round(50 * level / loudest)) for level in levels] or [1]
    top = " ".join(f"{at},{50 - height}" for at, height in enumerate(heights))
    bottom = " ".join(f"{at},{50 + height}" for at, height in reversed(list(enumerate(heights))))
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {max(1, len(heights) - 1)} 100" '
        f'preserveAspectRatio="none"><polygon fill="#7d8da1" points="{top} {bottom}"/></svg>'
    )


@router.get("/transcripts/{transcript_id}.{form}")
def download(
    transcript_id: str,
    form: Literal["txt", "vtt", "srt", "tsv", "json"],
    site: SiteHere,
    corrected: bool = False,
) -> Response:
    """A transcript as a file, with the bytes of `nightscribe export`.

    `corrected` gives the text of record, with the corrections that the lake has.
    """
    suffix = "_of_record" if corrected else ""
    found = site.snapshots.rows(
        f"FROM transcripts{suffix} WHERE transcript_id = ?", [transcript_id]
    )
    if not found:
        raise HTTPException(404, "There is no such transcript.")
    segments = site.snapshots.rows(
        f'FROM segments{suffix} WHERE transcript_id = ? ORDER BY "index"', [transcript_id]
    )
    if corrected:
        segments = of_record(segments)
    text = formats.render(result_of(found[0], segments), form)
    name = f"{found[0]['recording_id'][:16]}.{found[0]['task']}.{form}"
    return Response(
        text.encode(),
        # A browser must not show a stranger's text as a page.
        media_type="application/json" if form == "json" else "text/plain; charset=utf-8",
        headers={"content-disposition": f'attachment; filename="{name}"'},
    )
