"""Review: people listen to transcripts, correct, accept or skip them."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping
from typing import Annotated, Any, Literal, TypeAlias
from urllib.parse import quote

from fastapi import APIRouter, Depends, HTTPException, Query, Request
from fastapi.responses import HTMLResponse, RedirectResponse, Response
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from nightscribe.decisions import Decisions
from nightscribe.lake.doubt import described
from nightscribe.languages import LANGUAGES
from nightscribe.web.access import Person, Right, needs
from nightscribe.web.places import places_of
from nightscribe.web.rendering import page, query
from nightscribe.web.review_queue import Queued, queued
from nightscribe.web.reviewing import Record, decision, is_repeated, record_of, undoing
from nightscribe.web.site import Site, SiteHere

__all__ = ["router"]

router = APIRouter(dependencies=[Depends(needs(Right.REVIEW))])

log = logging.getLogger(__name__)

_PART = 200  # segments of a page
_FORM_BYTES = 4 << 20
_LATE_S = 180.0  # decisions that wait longer have no run
_LANGUAGES = sorted(LANGUAGES.items(), key=lambda item: item[1])


class Where(BaseModel):
    """The queue that a person works on: the query of the addresses."""

    model_config = ConfigDict(extra="ignore")

    queue: Literal["doubtful", "sample", "selected"] = "doubtful"
    task: Literal["transcribe", "translate"] = "transcribe"
    language: str = ""

    def address(self, **more: Any) -> str:
        """The query string, with more values."""
        return query(**self.model_dump(exclude_defaults=True), **more)


class Decided(BaseModel):
    """The fields of the form beside the texts."""

    action: str = Field(pattern=r"^(save|accept|skip|undo|part-[0-9]{1,9})$")
    seen: int  # decisions that the page knew
    spoken: str
    start: int = 0  # segment that the page began with

    @property
    def following_part(self) -> int:
        """The first segment of the page to go on with; saving may lead to another part."""
        kind, _, part = self.action.partition("-")
        return int(part) if kind == "part" else self.start

    def verdict(self) -> Literal["accepted", "skipped"] | None:
        """The verdict of an action; None if it gives none."""
        if self.action == "accept":
            return "accepted"
        return "skipped" if self.action == "skip" else None


WhereHere: TypeAlias = Annotated[Where, Depends()]


@router.get("/review", response_class=HTMLResponse)
def review(request: Request, site: SiteHere, where: WhereHere, done: str = "") -> HTMLResponse:
    """The queue: what waits, and how to begin."""
    chosen = "doubtful" if where.queue == "selected" else where.queue
    found = queued(site, chosen, where.task, where.language)
    taken = Decisions.of(site.settings).open_to_others(request.state.person.name)
    return page(
        request,
        "review.html",
        where=where,
        found=found,
        taken=taken,
        free=_first_free(found, taken),
        unsaved=found.waiting,
        is_late=found.waiting.age_s > _LATE_S,
        languages=site.snapshots.kept_rows(
            "SELECT language, count(*) AS count FROM transcripts WHERE task = ? GROUP BY ALL "
            "ORDER BY count DESC",
            [where.task],
        ),
        places=places_of(site.snapshots, [row["recording_id"] for row in found.rows]),
        done=_done(site, done),
    )


@router.get("/review/{transcript_id}", response_class=HTMLResponse)
def transcript(
    request: Request,
    transcript_id: str,
    site: SiteHere,
    where: WhereHere,
    start: Annotated[int, Query(ge=0)] = 0,
    done: str = "",
) -> HTMLResponse:
    """One transcript, with a field for each segment."""
    answer = _editor(request, site, transcript_id, where, start, done)
    Decisions.of(site.settings).note_open(transcript_id, request.state.person.name)
    return answer


def _editor(
    request: Request,
    site: Site,
    transcript_id: str,
    where: Where,
    start: int,
    done: str = "",
    typed: Mapping[int, str] | None = None,
    spoken: str = "",
) -> HTMLResponse:
    """The page of a transcript. With `typed` and `spoken`, what a person sent too late."""
    record = _record(site, transcript_id)
    recording_id = record.transcript["recording_id"]
    parts = range(0, len(record.segments), _PART)
    begin = max((part for part in parts if part <= start), default=0)
    segments = record.segments[begin : begin + _PART]
    for row in segments:
        row["suspicious"] = described(row)
        row["typed"] = (typed or {}).get(row["index"], row["text"]).strip()
    newest = record.reviews[-1] if record.reviews else record.transcript
    return page(
        request,
        "review_transcript.html",
        200 if typed is None else 409,
        where=where,
        record=record,
        transcript=record.transcript,
        segments=segments,
        is_late=typed is not None,
        start=begin,
        parts=parts,
        spoken=spoken or newest["language"],
        languages=_LANGUAGES,
        name=places_of(site.snapshots, [recording_id])[recording_id].name,
        has_waveform=bool(
            site.snapshots.rows(
                "SELECT 1 AS one FROM waveforms WHERE recording_id = ?", [recording_id]
            )
        ),
        done=_done(site, done),
    )


@router.post("/review/{transcript_id}")
async def decide(
    request: Request,
    transcript_id: str,
    site: SiteHere,
    where: WhereHere,
    person: Annotated[Person, Depends(needs(Right.REVIEW))],
) -> Response:
    """Keep what a person decided, and go on to the next transcript.

    The form is read here: as parameters of the route, it would be read before anybody asks who
    sends it.
    """
    length = request.headers.get("content-length", "")
    if not length.isdigit():
        raise HTTPException(411, "Send the length of the form.")
    if int(length) > _FORM_BYTES:
        raise HTTPException(413, f"The form is larger than {_FORM_BYTES:,} bytes.")
    async with request.form(max_files=0, max_fields=_PART + 20, max_part_size=_FORM_BYTES) as form:
        fields = {name: value for name, value in form.multi_items() if isinstance(value, str)}
    try:
        decided = Decided.model_validate(fields)
        texts = _texts(fields)
    except ValidationError as error:
        raise HTTPException(422, str(error.errors()[0]["msg"])) from error
    if decided.spoken not in LANGUAGES:
        raise HTTPException(422, "Choose a language of the list.")
    try:
        is_kept = await asyncio.to_thread(
            _keep, site, transcript_id, person.name, where, decided, texts
        )
    except _Overtaken:
        return await asyncio.to_thread(
            _editor,
            request,
            site,
            transcript_id,
            where,
            decided.start,
            typed=texts,
            spoken=decided.spoken,
        )
    if is_kept:
        try:
            await site.runs.commit_reviews(request)
        except HTTPException as error:
            # The decision is kept, and the queue says how long decisions have waited.
            log.warning("no run commits the decisions of reviewers: %s", error.detail)
    address = await asyncio.to_thread(_following, site, transcript_id, person.name, where, decided)
    return RedirectResponse(address, 303)


def _texts(fields: Mapping[str, str]) -> dict[int, str]:
    """Index of a segment → text, from the fields `text-0`, `text-1` …"""
    return {
        int(number): value
        for name, value in fields.items()
        for word, _, number in [name.partition("-")]
        if word == "text" and number.isdecimal() and len(number) < 10
    }


class _Overtaken(Exception):
    """Somebody has decided since the page was opened."""


def _keep(
    site: Site,
    transcript_id: str,
    person: str,
    where: Where,
    decided: Decided,
    texts: dict[int, str],
) -> bool:
    """Write the decision; False if there is nothing to keep. Raises `_Overtaken`."""
    record = record_of(site, transcript_id)
    if record is None:  # the page that Back would lead to is gone, too
        written = " ".join(" ".join(texts.values()).split())
        raise HTTPException(
            404,
            "There is no such transcript any more: it was made again since you opened its page. "
            f"Nothing was kept. What you sent: {written}",
        )
    if len(record.decisions) != decided.seen:
        if decided.action != "undo" and is_repeated(record, person, texts, decided.verdict()):
            return False
        raise _Overtaken
    if decided.action == "undo":
        made = undoing(record, person)
    else:
        made = decision(record, person, texts, decided.verdict(), where.queue, decided.spoken)
    if made is None:
        return False
    try:
        is_kept = Decisions.of(site.settings).add(made, record.transcripts, record.decisions)
    except OSError as error:
        raise HTTPException(
            503,
            f"The folder of the uploads cannot be written: {error.strerror or error}. "
            "Nothing was kept: go back to see your texts.",
        ) from error
    if not is_kept:
        raise _Overtaken
    return True


def _following(site: Site, transcript_id: str, person: str, where: Where, decided: Decided) -> str:
    """The address to go on with."""
    here = f"{site.prefix}/review/{quote(transcript_id, safe='')}"
    if decided.verdict() is None or where.queue == "selected":
        return f"{here}?{where.address(start=decided.following_part or None)}"
    found = queued(site, where.queue, where.task, where.language)
    if not found.rows:
        return f"{site.prefix}/review?{where.address(done=transcript_id)}"
    taken = Decisions.of(site.settings).open_to_others(person)
    following = quote(_first_free(found, taken), safe="")
    return f"{site.prefix}/review/{following}?{where.address(done=transcript_id)}"


def _first_free(found: Queued, taken: Mapping[str, str]) -> str:
    """The first transcript that nobody else has open; the first one if others have all of them."""
    ids = [str(row["transcript_id"]) for row in found.rows]
    return next((one for one in ids if one not in taken), ids[0] if ids else "")


def _record(site: Site, transcript_id: str) -> Record:
    record = record_of(site, transcript_id)
    if record is None:
        raise HTTPException(404, "There is no such transcript.")
    return record


def _done(site: Site, transcript_id: str) -> dict[str, Any] | None:
    """The transcript that was decided about before, for its undo."""
    record = record_of(site, transcript_id) if transcript_id else None
    if record is None or record.last is None:
        return None
    recording_id = record.transcript["recording_id"]
    return {
        "transcript_id": transcript_id,
        "verdict": record.verdict,
        "seen": len(record.decisions),
        "spoken": record.transcript["language"],
        "name": places_of(site.snapshots, [recording_id])[recording_id].name,
    }
