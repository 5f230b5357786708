"""The loudness of a recording over time, as pages draw it: at most 2,000 levels."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

__all__ = ["Waveform"]

_FIRST_STEP_S = 0.5
_MOST = 2_000  # levels; then two become one
_QUIETEST_DB = -60.0  # level 0; 0 dBFS is level 255


@dataclass
class Waveform:
    """Loudest measurement of each step, in equal steps from the start.

    Attributes:
        step_s: seconds of a step
        levels: 0 (-60 dBFS or less) to 255 (0 dBFS), in decibels
    """

    step_s: float = _FIRST_STEP_S
    levels: list[int] = field(default_factory=list)

    def add(self, at_s: float, mean_square: float) -> None:
        """Add a measurement at a time; the times of several ascend.

        >>> made = Waveform()
        >>> made.add(0.2, 1.0)
        >>> made.add(1.2, 1e-3)
        >>> made.levels
        [255, 128, 128]
        """
        decibels = 10 * math.log10(mean_square) if mean_square > 0 else _QUIETEST_DB
        level = round(255 * min(1.0, max(0.0, 1 - decibels / _QUIETEST_DB)))
        while at_s >= _MOST * self.step_s:
            self._halve()
        place = int(at_s / self.step_s)
        if place < len(self.levels):
            self.levels[place] = max(self.levels[place], level)
        else:
            # A long frame stands for the steps that it fills.
            self.levels += [level] * (place + 1 - len(self.levels))

    def _halve(self) -> None:
        pairs = range(0, len(self.levels), 2)
        self.levels = [max(self.levels[at : at + 2]) for at in pairs]
        self.step_s *= 2
