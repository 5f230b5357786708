"""How far long work has come, how fast it goes, and when it will be done."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from dataclasses import dataclass, field

log = logging.getLogger("nightscribe")


@dataclass
class Progress:
    """Counts finished items of `total` and says so every `every_s` seconds at most.

    `amount` is what the work is measured in for the ETA: seconds of audio, or files.
    """

    what: str
    total_items: int
    total_amount: float
    unit: str = "files"
    every_s: float = 5.0
    say: Callable[[str], None] = log.info
    items: int = 0
    amount: float = 0.0
    started: float = field(default_factory=time.monotonic)
    _said: float = field(default_factory=time.monotonic)

    def add(self, amount: float, items: int = 1) -> None:
        """Count finished items, `amount` in all."""
        self.items += items
        self.amount += amount
        now = time.monotonic()
        if now - self._said >= self.every_s:
            self._said = now
            self.say(self.line())

    @property
    def elapsed_s(self) -> float:
        """Seconds since the work started."""
        return max(time.monotonic() - self.started, 1e-9)

    @property
    def rate(self) -> float:
        """Amount per second so far; for audio seconds this is RTFx."""
        return self.amount / self.elapsed_s

    def line(self) -> str:
        """One line: counts, rate and ETA."""
        left = self.total_amount - self.amount
        eta = f", ETA {duration(left / self.rate)}" if self.rate > 0 and left > 0 else ""
        if self.unit == "audio":
            done = f"{duration(self.amount)} of {duration(self.total_amount)} audio"
            speed = f"RTFx {self.rate:.1f}"
        else:
            done = f"{self.amount:.0f} of {self.total_amount:.0f} {self.unit}"
            speed = f"{self.rate:.1f} {self.unit}/s"
        count = f"{self.items}/{self.total_items}"
        return f"{self.what}: {count}, {done}, {speed}, {duration(self.elapsed_s)} gone{eta}"


def duration(seconds: float) -> str:
    """Seconds as a person reads them: `7.3 s`, `4 min 05 s`, `3 h 07 min`."""
    if seconds < 60:
        return f"{seconds:.1f} s"
    if seconds < 3600:
        return f"{int(seconds // 60)} min {int(seconds % 60):02d} s"
    return f"{int(seconds // 3600)} h {int(seconds % 3600 // 60):02d} min"
