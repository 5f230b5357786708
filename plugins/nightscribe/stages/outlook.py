"""What is pending, and for each model that could do it: how long, until when, at what cost."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from nightscribe.errors import ConfigurationError
from nightscribe.lake.reading import read
from nightscribe.lake.tables import Lake
from nightscribe.settings import Settings, TaskName
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
from nightscribe.whisper.options import tasks_of

__all__ = ["EDGES_DAYS", "Outlook", "Prospect", "outlook", "outlook_of_lake"]

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
    """What is pending, and the models that could do it.

    Attributes:
        recordings, transcripts, audio_s: pending for the model that is asked for, without new files
        languages: as `Pending.by_language` gives them for `EDGES_DAYS`
        new: files of the archives that no run has read
        models: the speed of the model that is asked for, then of others that this lake has
            measured, each with its seconds of audio, new files included
        besides_s: as `estimate` takes it
        batch_minutes: expected time of a batch
        earlier: (planned at, model, seconds expected, seconds taken) of the newest complete runs
    """

    recordings: int
    transcripts: int
    audio_s: float
    already_done: int
    languages: list[tuple[str | None, list[float]]]
    new: Unread
    models: list[tuple[MeasuredSpeed, float]]
    besides_s: float
    batch_minutes: float
    earlier: list[tuple[datetime, str, float, float]]

    def prospects(
        self,
        workers: Sequence[int],
        *,
        now: datetime,
        due: datetime | None = None,
        price: float | None = None,
    ) -> list[Prospect]:
        """The ways to do it, in the order of the models.

        Args:
            workers: numbers of batches that are transcribed at once
            due: when it should be done
            price: of a worker in an hour
        """
        return [
            self._prospect(speed, audio_s, number, now, due, price)
            for speed, audio_s in self.models
            for number in workers
        ]

    def _prospect(
        self,
        speed: MeasuredSpeed,
        audio_s: float,
        workers: int,
        now: datetime,
        due: datetime | None,
        price: float | None,
    ) -> Prospect:
        batches = math.ceil(audio_s / (self.batch_minutes * 60 * speed.rtfx))
        batches = max(batches, workers) if audio_s else 0  # a plan has work for all of them
        time = estimate(
            audio_s, batches, workers, self.besides_s, speed.rtfx, speed.low, speed.high
        )
        ends = now + timedelta(seconds=time.expected_s)
        cost = None if price is None else price * workers * time.expected_s / 3600
        late: bool | None = due is not None and ends > due
        if due is not None and self.new.audio_s is None and not late:
            late = None
        return Prospect(speed, workers, audio_s, time, ends, cost, late)


def outlook(lake: Lake, order: Order, settings: Settings) -> Outlook:
    """Look at the archives and the lake; writes nothing.

    Raises:
        ConfigurationError, ModelError: the order has a mistake, or an archive does not exist.
    """
    wanted = order.wanted(settings)
    with find_new(lake, wanted.archives) as found:
        new = unread(lake, found)
    measured = measured_speeds(lake, settings.device)
    asked = _asked(measured, lake, wanted, settings)
    return _outlook(lake, wanted, new, asked, measured, order, settings)


def outlook_of_lake(
    lake: Lake,
    measured: Sequence[MeasuredSpeed],
    asked: MeasuredSpeed,
    task: TaskName,
    settings: Settings,
) -> Outlook:
    """Look at the lake alone, which a machine without its archives and models can do.

    Args:
        measured: as `measured_speeds` gives them
        asked: one of them

    Raises:
        ConfigurationError: the model cannot do the task.
    """
    order = Order((), asked.model, task, settings.language)
    wanted = _wanted_of(order, asked)
    return _outlook(lake, wanted, Unread(0, 0, 0.0), asked, measured, order, settings)


def _outlook(
    lake: Lake,
    wanted: Wanted,
    new: Unread,
    asked: MeasuredSpeed,
    measured: Sequence[MeasuredSpeed],
    order: Order,
    settings: Settings,
) -> Outlook:
    new_s = (new.audio_s or 0.0) * len(wanted.tasks)
    with pending(lake, wanted) as missing:
        languages = missing.by_language(EDGES_DAYS)
    models = [(asked, missing.audio_s + new_s)]
    for speed in measured:
        if speed.model_id == wanted.model_id:
            continue
        try:
            other = _wanted_of(order, speed)
        except ConfigurationError:  # it cannot do this, as `turbo` cannot translate
            continue
        with pending(lake, replace(wanted, model_id=other.model_id, options=other.options)) as its:
            models.append((speed, its.audio_s + new_s))
    return Outlook(
        recordings=missing.recordings,
        transcripts=missing.transcripts,
        audio_s=missing.audio_s,
        already_done=missing.already_done,
        languages=languages,
        new=new,
        models=models,
        besides_s=besides_s(lake),
        batch_minutes=settings.batch_minutes,
        earlier=_earlier(lake),
    )


def _wanted_of(order: Order, speed: MeasuredSpeed) -> Wanted:
    """The order for a model of the lake, whose checkpoint need not be here, and all recordings.

    Raises:
        ConfigurationError: the model cannot do it.
    """
    tasks = tasks_of(order.task)
    given = order.options or {}
    options = checked_options(speed.model, speed.model_id, tasks, order.language, given)
    hints = order.language == "manifest"
    return Wanted(speed.model, speed.model_id, tasks, options, hints=hints)


def _asked(
    measured: Sequence[MeasuredSpeed], lake: Lake, wanted: Wanted, settings: Settings
) -> MeasuredSpeed:
    """The speed of the model that is asked for: as set, measured, or assumed (of no batch)."""
    own = next((speed for speed in measured if speed.model_id == wanted.model_id), None)
    if own is not None and settings.expected_rtfx is None:
        return own
    rtfx = settings.expected_rtfx or speed_of(lake, wanted.model_id, settings.device).expected
    return MeasuredSpeed(wanted.model_id, wanted.model, settings.device, rtfx, None, None, 0)


def _earlier(lake: Lake) -> list[tuple[datetime, str, float, float]]:
    rows = read(
        lake,
        """SELECT planned_at, model, expected_s, took_s FROM runs
           WHERE expected_s IS NOT NULL AND took_s IS NOT NULL
           ORDER BY planned_at DESC LIMIT $limit""",
        limit=EARLIER,
    )
    return [tuple(row.values()) for row in rows.to_pylist()]
