"""Progress of long work: counts, speed and time left.

On a terminal it is a bar, in a log a line every few seconds.
"""

from __future__ import annotations

import logging
import sys
import time
from types import TracebackType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.progress import Progress as RichProgress

log = logging.getLogger("nightscribe")

LOG_EVERY_S = 5.0
"""Time between two log lines, s."""

_MEASURED_S = 1.0
"""Shortest time from which a speed is computed for an ETA, s."""


class Progress:
    """A context manager that counts finished items and logs the counts at its end.

    Speed and time left are computed from the amounts. With the unit "audio", amounts are seconds of
    audio and the speed is RTFx; any other unit, such as "MB", is printed as given.

    >>> with Progress("ingest", total_items=2, total_amount=30.0, unit="MB") as progress:
    ...     progress.add(12.5)
    ...     progress.items, progress.amount
    (1, 12.5)
    """

    def __init__(self, what: str, total_items: int, total_amount: float, unit: str) -> None:
        self.what, self.unit = what, unit
        self.total_items, self.total_amount = total_items, total_amount
        self.items, self.amount = 0, 0.0
        self._started = self._logged = time.monotonic()
        self._bar: RichProgress | None = None

    def __enter__(self) -> Progress:
        if sys.stderr.isatty():
            from rich.console import Console
            from rich.progress import BarColumn, TextColumn, TimeRemainingColumn
            from rich.progress import Progress as RichProgress

            self._bar = RichProgress(
                TextColumn("{task.description}"),
                BarColumn(),
                TextColumn("{task.fields[state]}"),
                TimeRemainingColumn(),
                console=Console(stderr=True),
                transient=True,
            )
            self._bar.start()
            self._bar.add_task(self.what, total=self.total_amount or 1, state="")
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._bar is not None:
            self._bar.stop()
        log.info(self.line(at_end=True))

    def add(self, amount: float, items: int = 1) -> None:
        """Count finished items with a total of `amount`."""
        self._count(amount, items)

    def drop(self, amount: float) -> None:
        """Count an item that failed: its amount is not done, and is not left to do either."""
        self.total_amount -= amount
        self._count(0.0, 1)

    def _count(self, amount: float, items: int) -> None:
        self.items += items
        self.amount += amount
        now = time.monotonic()
        if self._bar is not None:
            task = self._bar.task_ids[0]
            self._bar.update(
                task,
                total=self.total_amount or 1,
                completed=self.amount,
                state=self.state(),
            )
        elif now - self._logged >= LOG_EVERY_S:
            self._logged = now
            log.info(self.line())

    @property
    def elapsed_s(self) -> float:
        """Time since the work started, s."""
        return max(time.monotonic() - self._started, 1e-9)

    @property
    def rate(self) -> float:
        """Amount per second of wall time so far; RTFx for audio."""
        return self.amount / self.elapsed_s

    def state(self) -> str:
        """Counts and speed, as text."""
        if self.unit == "audio":
            done = f"{duration(self.amount)} of {duration(self.total_amount)} of audio"
            speed = f"RTFx {self.rate:.1f}"
        else:
            done = f"{self.amount:.1f} of {self.total_amount:.1f} {self.unit}"
            speed = f"{self.rate:.1f} {self.unit}/s"
        return f"{self.items}/{self.total_items}, {done}, {speed}"

    def line(self, *, at_end: bool = False) -> str:
        """One log line: counts, speed, elapsed time and, before the end, ETA.

        There is no ETA while nothing is done, or while what is done took no time worth a rate.
        """
        left = self.total_amount - self.amount
        known = self.amount > 0 and self.elapsed_s >= _MEASURED_S
        eta = f", ETA {duration(left / self.rate)}" if known and left > 0.5 and not at_end else ""
        return f"{self.what}: {self.state()}, {duration(self.elapsed_s)} elapsed{eta}"


def duration(seconds: float) -> str:
    """A duration for people.

    >>> duration(7.34), duration(245), duration(11_220)
    ('7.3 s', '4 min 05 s', '3 h 07 min')
    """
    if seconds < 60:
        return f"{seconds:.1f} s"
    if seconds < 3600:
        return f"{int(seconds // 60)} min {int(seconds % 60):02d} s"
    return f"{int(seconds // 3600)} h {int(seconds % 3600 // 60):02d} min"
