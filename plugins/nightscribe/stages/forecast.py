"""When the planned batches will be done, and whether that is in time."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta

__all__ = ["Forecast", "due_at", "forecast"]


@dataclass(frozen=True)
class Forecast:
    """The end of a night that is planned.

    Attributes:
        audio_s: seconds of audio to transcribe, counted once per task
        rtfx: seconds of audio per second of one worker, as measured
        workers: batches that are transcribed at once
        due: when the night should be done
    """

    audio_s: float
    rtfx: float
    workers: int
    begins: datetime
    due: datetime

    @property
    def ends(self) -> datetime:
        """When the last batch will be done, if no worker waits, loads or commits."""
        return self.begins + timedelta(seconds=self.audio_s / (self.rtfx * self.workers))

    @property
    def late(self) -> bool:
        """Whether that is after it is due."""
        return self.ends > self.due

    def sentence(self) -> str:
        """One line for people."""
        minutes = abs(self.ends - self.due).total_seconds() / 60
        side = "after" if self.late else "before"
        return (
            f"{self.audio_s / 3600:.1f} h of audio at RTFx {self.rtfx:.1f} on {self.workers} "
            f"worker(s): done at {self.ends:%Y-%m-%d %H:%M} UTC, {minutes:.0f} min {side} it is due"
        )


def forecast(
    audio_s: float, rtfx: float, workers: int, done_by: str, started: datetime, now: datetime
) -> Forecast:
    """The end of a night whose batches begin now.

    Args:
        done_by: time of day in UTC, `HH:MM`; the night is due at the first one after it started
        started: when the run started
    """
    return Forecast(audio_s, rtfx, workers, now.astimezone(UTC), due_at(done_by, started))


def due_at(done_by: str, started: datetime) -> datetime:
    """The first time of day `done_by` (UTC, `HH:MM`) after a run has started."""
    started = started.astimezone(UTC)
    due = datetime.combine(started.date(), time.fromisoformat(done_by), UTC)
    return due if due > started else due + timedelta(days=1)
