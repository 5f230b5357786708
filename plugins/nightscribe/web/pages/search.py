"""Search: where something was said, with a line before and after it."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from fastapi import APIRouter, Query, Request
from fastapi.responses import HTMLResponse
from pydantic import BaseModel, ConfigDict, Field

from nightscribe.errors import ConfigurationError
from nightscribe.search.marks import marked
from nightscribe.search.reading import Found
from nightscribe.web.places import places_of
from nightscribe.web.rendering import page
from nightscribe.web.site import SiteHere
from nightscribe.web.snapshot import Snapshots

__all__ = ["router"]

router = APIRouter()

_PAGE = 50
_LAST = 10_000
"""Hits that can be leafed through. Tantivy sorts all hits up to the one that is shown."""


class _Asked(BaseModel):
    """What is searched for: the query of the page's address."""

    model_config = ConfigDict(extra="ignore")

    q: str = ""
    language: str = ""
    task: Literal["", "transcribe", "translate"] = ""
    model: str = ""
    after: int = Field(0, ge=0, le=_LAST)  # hits on the pages before

    def filters(self) -> dict[str, str]:
        """The values of the filters, empty for all."""
        return {"language": self.language, "task": self.task, "model": self.model}

    def address(self, **changes: Any) -> dict[str, Any]:
        """The values of the address with changes; without the page."""
        return {"q": self.q, **self.filters(), **changes}


@router.get("/search", response_class=HTMLResponse)
def search(
    request: Request,
    asked: Annotated[_Asked, Query()],
    site: SiteHere,
) -> HTMLResponse:
    """The page."""
    state = site.index.state()
    found: Found | None = None
    problem = ""
    if state is not None and asked.q.strip():
        try:
            found = site.index.search(asked.q, limit=_PAGE, offset=asked.after, **asked.filters())
            state = found.state
        except ConfigurationError as error:
            problem = str(error)
    following = asked.after + _PAGE
    return page(
        request,
        "search.html",
        asked=asked,
        state=state,
        found=found,
        problem=problem,
        recordings=_by_recording(site.snapshots, found) if found else [],
        following=following if found and following < min(found.count, _LAST) else None,
        newest=_newest(site.snapshots),
        last=_LAST,
    )


def _by_recording(snapshots: Snapshots, found: Found) -> list[dict[str, Any]]:
    """The hits of a page, by recording in the order of the hits."""
    grouped: dict[str, list[dict[str, Any]]] = {}
    for hit in found.hits:
        grouped.setdefault(hit.recording_id, []).append(
            {
                "start_s": hit.start_s,
                "task": hit.task,
                # A translation is English, whatever was spoken.
                "language": "en" if hit.task == "translate" else hit.language,
                "lines": [
                    marked(text.strip(), found.parts if is_hit else ())
                    for text, is_hit in ((hit.before, False), (hit.text, True), (hit.after, False))
                ],
            }
        )
    places = places_of(snapshots, grouped)
    return [
        {
            "recording_id": recording_id,
            "name": places[recording_id].name,
            "hits": sorted(hits, key=lambda hit: (hit["task"], hit["start_s"])),
        }
        for recording_id, hits in grouped.items()
    ]


def _newest(snapshots: Snapshots) -> Any:
    """When the newest transcript of the lake was created; None without any."""
    [row] = snapshots.kept_rows("SELECT max(created_at) AS newest FROM transcripts")
    return row["newest"]
