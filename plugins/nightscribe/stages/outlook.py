"""What is pending, and for each model that could do it: how long, until when, at what cost."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from nightscribe.errors import ConfigurationError
from nightscribe.lake.reading import read
from nightscribe.lake.tables import Lake
from nightscribe.settings import Settings
from nightscribe.stages.estimate import (
    Estimate,
    MeasuredSpeed,
    besides_s,
    estimate,
    measured_speeds,
)
from nightscribe.stages.expected_speed import speed_of
from nightscribe.stages.new_files import find_new
from nightscribe.stages.order import Order, checked_options
from nightscribe.stages.pending import Wanted, pending
from nightscribe.stages.unread import Unread, unread

__all__ = ["EDGES_DAYS", "Outlook", "Prospect", "outlook"]

EARLIER = 5
"""Complete runs that are compared with what was expected of them."""

EDGES_DAYS = (1, 7, 30)
"""The ages of pending recordings are told apart at these days."""


@dataclass(frozen=True)
class Prospect:
    """One way to do what is pending.

    Attributes:
        audio_s: seconds of audio that the model has not transcribed, counted once per task
        cost: in the currency of the price; None without one
        late: whether it ends after it is due; None if new files may make it late
    """

    speed: MeasuredSpeed
    workers: int
    audio_s: float
    time: Estimate
    ends: datetime
    cost: float | None
    late: bool | None


@dataclass(frozen=True)
class Outlook:
    """What is pending, and the ways to do it.

    Attributes:
        languages: as `Pending.by_language` gives them for `EDGES_DAYS`
        new: files of the archives that no run has read
        prospects: of the model that is asked for, then of others that this lake has measured
        earlier: (planned at, model, seconds expected, seconds taken) of the newest complete runs
    """

    recordings: int
    transcripts: int
    audio_s: float
    already_done: int
    languages: list[tuple[str | None, list[float]]]
    new: Unread
    prospects: list[Prospect]
    earlier: list[tuple[datetime, str, float, float]]

    @property
    def is_late(self) -> bool:
        """Whether the model that is asked for is late, or may be, whatever the workers."""
        asked = self.prospects[0].speed
        return all(one.late is not False for one in self.prospects if one.speed is asked)


def outlook(
    lake: Lake,
    order: Order,
    settings: Settings,
    workers: Sequence[int],
    *,
    now: datetime,
    due: datetime | None = None,
    price: float | None = None,
) -> Outlook:
    """Look at the archives and the lake; writes nothing.

    Args:
        workers: numbers of batches that are transcribed at once
        due: when it should be done
        price: of a worker in an hour

    Raises:
        ConfigurationError, ModelError: the order has a mistake, or an archive does not exist.
    """
    wanted = order.wanted(settings)
    with find_new(lake, wanted.archives) as found:
        new = unread(lake, found)
    with pending(lake, wanted) as missing:
        languages = missing.by_language(EDGES_DAYS)
    new_s = (new.audio_s or 0.0) * len(wanted.tasks)
    besides = besides_s(lake)

    def of(speed: MeasuredSpeed, audio_s: float) -> Iterator[Prospect]:
        for number in workers:
            batches = math.ceil(audio_s / (settings.batch_minutes * 60 * speed.rtfx))
            batches = max(batches, number) if audio_s else 0  # a plan has work for all of them
            time = estimate(audio_s, batches, number, besides, speed.rtfx, speed.low, speed.high)
            ends = now + timedelta(seconds=time.expected_s)
            cost = None if price is None else price * number * time.expected_s / 3600
            late: bool | None = due is not None and ends > due
            if due is not None and new.audio_s is None and not late:
                late = None
            yield Prospect(speed, number, audio_s, time, ends, cost, late)

    measured = {speed.model_id: speed for speed in measured_speeds(lake, settings.device)}
    asked = _asked(measured.pop(wanted.model_id, None), lake, wanted, settings)
    prospects = list(of(asked, missing.audio_s + new_s))
    for speed in measured.values():
        other = _for_model(wanted, order, speed)
        if other is not None:
            with pending(lake, other) as its:
                audio_s = its.audio_s
            prospects += of(speed, audio_s + new_s)
    return Outlook(
        recordings=missing.recordings,
        transcripts=missing.transcripts,
        audio_s=missing.audio_s,
        already_done=missing.already_done,
        languages=languages,
        new=new,
        prospects=prospects,
        earlier=_earlier(lake),
    )


def _earlier(lake: Lake) -> list[tuple[datetime, str, float, float]]:
    rows = read(
        lake,
        """SELECT planned_at, model, expected_s, took_s FROM runs
           WHERE expected_s IS NOT NULL AND took_s IS NOT NULL
           ORDER BY planned_at DESC LIMIT $limit""",
        limit=EARLIER,
    )
    return [tuple(row.values()) for row in rows.to_pylist()]


def _asked(
    measured: MeasuredSpeed | None, lake: Lake, wanted: Wanted, settings: Settings
) -> MeasuredSpeed:
    """The speed of the model that is asked for: as set, measured, or assumed (of no batch)."""
    if measured is not None and settings.expected_rtfx is None:
        return measured
    rtfx = settings.expected_rtfx or speed_of(lake, wanted.model_id, settings.device).expected
    return MeasuredSpeed(wanted.model_id, wanted.model, settings.device, rtfx, None, None, 0)


def _for_model(wanted: Wanted, order: Order, speed: MeasuredSpeed) -> Wanted | None:
    """The same of another model; None if it cannot do it, as `turbo` cannot translate."""
    given = order.options or {}
    try:
        checked_options(speed.model, speed.model_id, wanted.tasks, order.language, given)
    except ConfigurationError:
        return None
    return replace(wanted, model=speed.model, model_id=speed.model_id)
