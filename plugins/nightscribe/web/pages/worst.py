"""The recordings of an evaluation, worst first, each with its errors."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from fastapi import APIRouter, HTTPException, Query, Request
from fastapi.responses import HTMLResponse
from pydantic import BaseModel, ConfigDict

from nightscribe.web.places import places_of
from nightscribe.web.rendering import page
from nightscribe.web.site import SiteHere
from nightscribe.web.snapshot import Snapshots

__all__ = ["router"]

router = APIRouter()

_PAGE = 25

# What each sort puts first. The rate of all that is shown predicts errors for a reference of that
# length: by errors alone the longest recordings are first, by rate the shortest. A rate of no
# units is that of one, as in the scores.
_SORTS = {
    "worst": "errors - units * sum(errors) OVER same / greatest(sum(units) OVER same, 1)",
    "rate": "errors / greatest(units, 1)",
    "errors": "errors",
}


class Shown(BaseModel):
    """What is shown: the query of the page's address."""

    model_config = ConfigDict(extra="ignore")

    dataset: str = ""
    language: str = ""
    task: Literal["", "transcribe", "translate"] = ""
    model: str = ""  # name or id
    options: str = ""
    sort: Literal["worst", "rate", "errors"] = "worst"
    after: str = ""  # the last row of the page before: task, rank, transcript_id, dataset

    def chips(self) -> list[tuple[str, str]]:
        """Name and value of the filters that are set."""
        plain = self.model_dump(exclude={"sort", "after"}, exclude_defaults=True)
        return [(name, str(value)) for name, value in plain.items()]

    def address(self, **changes: Any) -> dict[str, Any]:
        """The values of the address with changes; without the page."""
        return self.model_dump(exclude={"after"}, exclude_defaults=True) | changes

    def condition(self) -> tuple[str, list[str]]:
        """An SQL condition on `utterance_errors`, and its values."""
        wanted = [
            (text, value)
            for text, value in (
                ("dataset = ?", self.dataset),
                ("coalesce(variety, language) = ?", self.language),
                ("task = ?", self.task),
                ("? IN (model, model_id)", self.model),
                ("options_key = ?", self.options),
            )
            if value
        ]
        return " AND ".join(["score_id = ?", *(text for text, _ in wanted)]), [
            value for _, value in wanted
        ]


@router.get("/quality/{evaluation}/recordings", response_class=HTMLResponse)
def worst(
    request: Request, evaluation: str, shown: Annotated[Shown, Query()], site: SiteHere
) -> HTMLResponse:
    """The page."""
    snapshots = site.snapshots
    found = snapshots.rows(
        """SELECT score_id, max(created_at) AS created_at,
             score_id IN (SELECT score_id FROM utterance_errors) AS has_errors
           FROM scores WHERE score_id = ? GROUP BY score_id""",
        [evaluation],
    )
    if not found:
        raise HTTPException(404, "There is no such evaluation.")
    condition, values = shown.condition()
    [count] = snapshots.kept_rows(
        f"""SELECT count(*) AS recordings, sum(errors) AS errors, sum(units) AS units
            FROM utterance_errors WHERE {condition}""",
        [evaluation, *values],
    )
    rows = _rows(snapshots, shown, condition, [evaluation, *values])
    following = None
    if len(rows) > _PAGE:
        rows = rows[:_PAGE]
        last = rows[-1]
        key = f"{last['task']},{last['rank']!r},{last['transcript_id']},{last['dataset']}"
        following = shown.address(after=key)
    return page(
        request,
        "worst.html",
        evaluation=found[0],
        shown=shown,
        sorts=list(_SORTS),
        count=count,
        rows=rows,
        places=places_of(snapshots, [row["recording_id"] for row in rows]),
        following=following,
    )


def _rows(
    snapshots: Snapshots, shown: Shown, condition: str, values: list[Any]
) -> list[dict[str, Any]]:
    after = "true"
    if shown.after:
        task, rank, transcript_id, dataset = [*shown.after.split(",", 3), "", "", ""][:4]
        after = "(task, -rank, transcript_id, dataset) > (?, -TRY_CAST(? AS DOUBLE), ?, ?)"
        values = [*values, task, rank, transcript_id, dataset]
    # A translation has no errors to count; the worst one has the lowest chrF++.
    return snapshots.rows(
        f"""WITH ranked AS (
              SELECT *, CASE task WHEN 'translate' THEN -chrf
                        ELSE ({_SORTS[shown.sort]})::DOUBLE END AS rank
              FROM utterance_errors WHERE {condition}
              WINDOW same AS (PARTITION BY task)
            )
            SELECT ranked.*, recordings.duration_s
            FROM (FROM ranked WHERE {after}
                  ORDER BY task, rank DESC, transcript_id, dataset LIMIT {_PAGE + 1}) AS ranked
            LEFT JOIN recordings USING (recording_id)
            ORDER BY task, rank DESC, transcript_id, dataset""",
        values,
    )
