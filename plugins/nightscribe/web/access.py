"""Who asks, and what they may do."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from enum import StrEnum
from typing import TypeAlias

from fastapi import Depends, HTTPException, Request

__all__ = ["Access", "Person", "Right", "needs", "person_of"]


class Right(StrEnum):
    """What a person may do. Each includes nothing of the others."""

    READ = "read"
    UPLOAD = "upload"
    REVIEW = "review"


@dataclass(frozen=True)
class Person:
    """Somebody who is logged in."""

    name: str
    rights: frozenset[Right]


Access: TypeAlias = Callable[[Request], Awaitable[Person | None]]
"""Returns the person who sends a request; None for somebody who is not logged in."""


async def person_of(request: Request) -> Person:
    """The person who sends a request. Raises 401 for nobody."""
    person: Person | None = await request.app.state.site.access(request)
    if person is None:
        raise HTTPException(401, "Log in to Airflow to see this page.")
    request.state.person = person
    return person


def needs(right: Right) -> Callable[..., Awaitable[Person]]:
    """A dependency of a route that only people with a right may use; gives the person."""

    async def checked(person: Person = Depends(person_of)) -> Person:  # noqa: B008
        if right not in person.rights:
            raise HTTPException(403, f"{person.name} has no right to do this ({right.value}).")
        return person

    return checked
