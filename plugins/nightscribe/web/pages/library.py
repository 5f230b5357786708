"""Library: all recordings, with filters; and the inputs that were rejected."""

from __future__ import annotations

from datetime import date
from typing import Annotated, Any, Literal, TypeAlias

import pyarrow as pa
from fastapi import APIRouter, Query, Request
from fastapi.responses import HTMLResponse
from pydantic import BaseModel, ConfigDict, field_validator

from nightscribe.lake.doubt import LANGUAGE_PROBABILITY, LOGPROB, TEMPERATURE
from nightscribe.web.places import places_of
from nightscribe.web.rendering import page
from nightscribe.web.site import SiteHere
from nightscribe.web.snapshot import Snapshots

__all__ = ["Filters", "router"]

router = APIRouter()

_PAGE = 50
_DOUBTFUL = "doubtful_recordings"  # name of the result of the next query, which reads all segments
_ALL_DOUBTFUL = "SELECT DISTINCT recording_id FROM doubtful"
_SORTS = {
    "newest": ("created_at", "DESC"),
    "oldest": ("created_at", "ASC"),
    "longest": ("duration_s", "DESC"),
    "shortest": ("duration_s", "ASC"),
}


Offset: TypeAlias = Annotated[int, Query(ge=0, le=1_000_000_000)]
"""Rows on the pages before."""


class Filters(BaseModel):
    """What is shown: the query of the page's address."""

    model_config = ConfigDict(extra="ignore")

    name: str = ""
    collection: str = ""
    language: str = ""
    task: Literal["", "transcribe", "translate"] = ""
    model: str = ""
    since: date | None = None
    until: date | None = None
    shortest: float | None = None  # seconds
    longest: float | None = None
    doubtful: bool = False  # with a transcript in the view `doubtful`
    warnings: bool = False
    reference: bool = False
    waiting: bool = False  # without a transcript
    sort: Literal["newest", "oldest", "longest", "shortest"] = "newest"
    after: str = ""  # the last row of the page before: value of the sort column, recording_id

    @field_validator("since", "until", "shortest", "longest", mode="before")
    @classmethod
    def _empty_is_none(cls, value: Any) -> Any:
        return None if value == "" else value

    def chips(self) -> list[tuple[str, str]]:
        """Name and value of the filters that are set."""
        plain = self.model_dump(exclude={"sort", "after"}, exclude_defaults=True)
        return [(name, "" if value is True else str(value)) for name, value in plain.items()]

    def address(self, **changes: Any) -> dict[str, Any]:
        """The values of the address with changes; without the page."""
        values = self.model_dump(mode="json", exclude={"after"}, exclude_defaults=True)
        values.update(changes)
        return {name: 1 if value is True else value for name, value in values.items()}

    def condition(self) -> tuple[str, list[Any]]:
        """An SQL condition on `recordings`, and its values. It may read `_DOUBTFUL`."""
        transcript = [
            (text, value)
            for text, value in (
                ("language = ?", self.language),
                ("task = ?", self.task),
                ("model = ?", self.model),
            )
            if value != ""
        ]
        source = [
            (text, value)
            for text, value in (
                ("collection = ?", self.collection),
                ("contains(lower(member), lower(?))", self.name),
            )
            if value != ""
        ]
        parts = [
            ("created_at >= ?", self.since),
            ("created_at < ?::DATE + 1", self.until),
            ("duration_s >= ?", self.shortest),
            ("duration_s <= ?", self.longest),
        ]
        conditions = [text for text, value in parts if value is not None]
        values: list[Any] = [value for _, value in parts if value is not None]
        for table, wanted in (("transcripts", transcript), ("sources", source)):
            if wanted:
                conditions.append(
                    f"recording_id IN (SELECT recording_id FROM {table} WHERE "
                    + " AND ".join(text for text, _ in wanted)
                    + ")"
                )
                values += [value for _, value in wanted]
        for table, is_wanted in (
            ("warnings", self.warnings),
            ("reference_texts", self.reference),
            (_DOUBTFUL, self.doubtful),
        ):
            if is_wanted:
                conditions.append(f"recording_id IN (SELECT recording_id FROM {table})")
        if self.waiting:
            conditions.append("recording_id NOT IN (SELECT recording_id FROM transcripts)")
        return " AND ".join(conditions) or "true", values


@router.get("/recordings", response_class=HTMLResponse)
def library(request: Request, filters: Annotated[Filters, Query()], site: SiteHere) -> HTMLResponse:
    """The page."""
    snapshots = site.snapshots
    condition, values = filters.condition()
    named = {_DOUBTFUL: snapshots.kept_table(_ALL_DOUBTFUL)} if filters.doubtful else {}
    [count] = snapshots.kept_rows(
        f"SELECT count(*) AS recordings, sum(duration_s) AS audio_s FROM recordings "
        f"WHERE {condition}",
        values,
        **named,
    )
    rows = _rows(snapshots, filters, condition, values, named)
    more = len(rows) > _PAGE
    rows = rows[:_PAGE]
    following = None
    if more:
        column, _ = _SORTS[filters.sort]
        value = rows[-1][column]
        shown = value.isoformat() if column == "created_at" else repr(value)
        following = filters.address(after=f"{shown},{rows[-1]['recording_id']}")
    return page(
        request,
        "library.html",
        filters=filters,
        count=count,
        rows=rows,
        following=following,
        sorts=list(_SORTS),
        choices=_choices(snapshots),
    )


def _rows(
    snapshots: Snapshots,
    filters: Filters,
    condition: str,
    values: list[Any],
    named: dict[str, pa.Table],
) -> list[dict[str, Any]]:
    column, direction = _SORTS[filters.sort]
    if filters.after:
        value, _, recording_id = filters.after.rpartition(",")
        sign = "<" if direction == "DESC" else ">"
        kind = "TIMESTAMPTZ" if column == "created_at" else "DOUBLE"
        condition += (
            f" AND ({column} {sign} TRY_CAST(? AS {kind}) OR "
            f"({column} = TRY_CAST(? AS {kind}) AND recording_id > ?))"
        )
        values = [*values, value, value, recording_id]
    rows = snapshots.rows(
        f"SELECT recording_id, duration_s, container, codec, created_at, warning FROM recordings "
        f"WHERE {condition} ORDER BY {column} {direction}, recording_id LIMIT {_PAGE + 1}",
        values,
        **named,
    )
    ids = [row["recording_id"] for row in rows]
    places = places_of(snapshots, ids)
    texts: dict[str, list[dict[str, Any]]] = {}
    for row in snapshots.rows(
        f"""SELECT recording_id, task, language, model, left(text, 200) AS text,
             -- Each says so of a segment, too; the view `doubtful` has others besides.
             avg_logprob < {LOGPROB} OR temperature > {TEMPERATURE}
               OR language_probability < {LANGUAGE_PROBABILITY} AS is_doubtful
           FROM transcripts WHERE recording_id IN (SELECT unnest(?))
           QUALIFY row_number() OVER (PARTITION BY recording_id, task
                                      ORDER BY sequence DESC NULLS LAST, created_at DESC,
                                        transcript_id) = 1
           ORDER BY task""",
        [ids],
    ):
        texts.setdefault(row["recording_id"], []).append(row)
    for row in rows:
        row["place"] = places[row["recording_id"]]
        row["transcripts"] = texts.get(row["recording_id"], [])
    return rows


def _choices(snapshots: Snapshots) -> dict[str, list[str]]:
    """The values of the filters that have few of them."""
    return {
        name: [
            row["value"]
            for row in snapshots.kept_rows(
                f"SELECT {name} AS value FROM {table} GROUP BY ALL ORDER BY count(*) DESC, value "
                "LIMIT 100"
            )
        ]
        for name, table in (
            ("collection", "sources"),
            ("language", "transcripts"),
            ("model", "transcripts"),
        )
    }


@router.get("/rejected", response_class=HTMLResponse)
def rejected(
    request: Request,
    site: SiteHere,
    reason: str = "",
    after: Offset = 0,
) -> HTMLResponse:
    """Inputs that cannot be used, newest first."""
    condition, values = ("reason = ?", [reason]) if reason else ("true", [])
    rows = site.snapshots.rows(
        f"""SELECT uri, reason, detail, recording_id, task, run_id, created_at FROM rejected
            WHERE {condition} ORDER BY created_at DESC, uri LIMIT {_PAGE + 1} OFFSET {after}""",
        values,
    )
    [count] = site.snapshots.rows(
        f"SELECT count(*) AS inputs FROM rejected WHERE {condition}", values
    )
    following = after + _PAGE if len(rows) > _PAGE else None
    return page(
        request,
        "rejected.html",
        rows=rows[:_PAGE],
        reason=reason,
        count=count["inputs"],
        following=following,
    )


@router.get("/warnings", response_class=HTMLResponse)
def warnings(request: Request, site: SiteHere, after: Offset = 0) -> HTMLResponse:
    """Recordings that are used with a flaw, with the most missing seconds first."""
    rows = site.snapshots.rows(
        f"""SELECT recording_id, kind, detail, missing_s FROM warnings
            ORDER BY missing_s DESC NULLS LAST, recording_id, kind
            LIMIT {_PAGE + 1} OFFSET {after}"""
    )
    [count] = site.snapshots.rows(
        "SELECT count(DISTINCT recording_id) AS recordings, sum(missing_s) AS missing_s "
        "FROM warnings"
    )
    following = after + _PAGE if len(rows) > _PAGE else None
    return page(
        request,
        "warnings.html",
        rows=rows[:_PAGE],
        places=places_of(site.snapshots, [row["recording_id"] for row in rows]),
        count=count,
        following=following,
    )
