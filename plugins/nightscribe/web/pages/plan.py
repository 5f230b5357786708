"""Plan: what is pending, and for each model that has been measured how long, until when, its cost.

Only the lake is asked: a web server need not reach the archives. `nightscribe plan` also counts
files that no run has read yet.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated

from fastapi import APIRouter, Query, Request
from fastapi.responses import HTMLResponse
from pydantic import BaseModel, ConfigDict, Field, field_validator

from nightscribe.errors import ConfigurationError
from nightscribe.settings import TIME_OF_DAY, TaskName
from nightscribe.stages.estimate import MeasuredSpeed, measured_speeds
from nightscribe.stages.forecast import due_at
from nightscribe.stages.outlook import Outlook, outlook_of_lake
from nightscribe.web.rendering import page
from nightscribe.web.site import Site, SiteHere

__all__ = ["router"]

router = APIRouter()


class _Asked(BaseModel):
    """What is planned with: the query of the page's address; an empty value is one that is unset.

    Attributes:
        model: id of a model of the lake
        workers: batches that are transcribed at once
        price: of a worker in an hour, in any currency
        by: time of day in UTC at which it should be done; empty for none, None as it is set
    """

    model_config = ConfigDict(extra="ignore")

    model: str = ""
    task: TaskName | None = None
    workers: int = Field(1, ge=1, le=10_000)
    price: float | None = Field(None, ge=0, allow_inf_nan=False)
    by: str | None = Field(None, pattern=f"^({TIME_OF_DAY})?$")

    @field_validator("task", "price", mode="before")
    @classmethod
    def _is_unset(cls, value: object) -> object:
        return None if value == "" else value


@router.get("/plan", response_class=HTMLResponse)
def plan(request: Request, asked: Annotated[_Asked, Query()], site: SiteHere) -> HTMLResponse:
    """The page."""
    snapshots = site.snapshots
    task = asked.task or site.settings.task
    measured: list[MeasuredSpeed] = snapshots.kept(
        "measured speeds", lambda: measured_speeds(snapshots.lake, site.settings.device)
    )
    chosen = _chosen(measured, asked.model, site.settings.model)
    found, problem = None, ""
    if chosen is not None:
        try:
            found = _outlook(site, measured, chosen, task)
        except ConfigurationError as error:
            problem = str(error)
    now = datetime.now(UTC)
    by = site.settings.done_by if asked.by is None else asked.by
    due = due_at(by, now) if by else None
    prospects = []
    if found is not None:
        prospects = found.prospects([asked.workers], now=now, due=due, price=asked.price)
    return page(
        request,
        "plan.html",
        asked=asked,
        task=task,
        by=by,
        measured=measured,
        chosen=chosen,
        found=found,
        problem=problem,
        prospects=prospects,
    )


def _chosen(measured: list[MeasuredSpeed], model_id: str, name: str) -> MeasuredSpeed | None:
    """The model of the address, else that of the setting, else any; None if there is none."""
    for key, value in (("model_id", model_id), ("model", name)):
        for speed in measured:
            if value and getattr(speed, key) == value:
                return speed
    return measured[0] if measured else None


def _outlook(
    site: Site, measured: list[MeasuredSpeed], chosen: MeasuredSpeed, task: TaskName
) -> Outlook:
    snapshots = site.snapshots

    def look() -> Outlook:
        with snapshots.cursor():  # its turn: it needs as much memory as a query
            return outlook_of_lake(snapshots.lake, measured, chosen, task, site.settings)

    found: Outlook = snapshots.kept(f"outlook {chosen.model_id} {task}", look)
    return found
