"""How long pending transcripts will take, from what the lake has measured."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from nightscribe.lake.reading import connect, read
from nightscribe.lake.tables import Lake

__all__ = ["BESIDES_S", "Estimate", "MeasuredSpeed", "besides_s", "estimate", "measured_speeds"]

BESIDES_S = 3.0
"""Seconds that a batch takes besides transcription where no run has measured it: the start of the
process, the model, and the commit (docs/scale.md, "What a batch costs besides transcription")."""

_BATCHES = 20
"""Newest batches that a speed is measured by."""

_RUNS = 5
"""Newest runs that the rest is measured by."""

_FEWEST = 3
"""Batches from which an interval can be estimated."""

_DRAWS = 1_000


@dataclass(frozen=True)
class MeasuredSpeed:
    """The speed of a model in a lake: seconds of audio that a worker transcribes in a second.

    Attributes:
        model: the name that it had in its newest transcripts
        device: of its newest batch
        rtfx: audio over time of the newest batches on that kind of device
        low, high: 90 % interval of `rtfx`; None if there are too few batches
        batches: how many these are
    """

    model_id: str
    model: str
    device: str
    rtfx: float
    low: float | None
    high: float | None
    batches: int


@dataclass(frozen=True)
class Estimate:
    """Time that batches take from their plan to the last commit, s.

    `shortest` and `longest` belong to the interval of the speed; None if it has none.
    """

    expected_s: float
    shortest_s: float | None
    longest_s: float | None


def measured_speeds(lake: Lake, device: str = "auto") -> list[MeasuredSpeed]:
    """The speed of every model that has transcribed in this lake, the fastest first.

    `device`: only what was measured on this kind of device, `cpu` or `cuda…`; with `auto`, on that
    of the model's newest batch.
    """
    of_kind = "" if device == "auto" else f"AND (device = 'cpu') = {device == 'cpu'}"
    with connect(lake, views=["batches", "transcripts"]) as connection:
        rows = connection.execute(
            f"""WITH newest AS (
                  SELECT *, max_by(device, created_at) OVER (PARTITION BY model_id) AS newest_device
                  FROM batches WHERE transcripts > 0 AND audio_s > 0 AND wall_s > 0 {of_kind}
                ), used AS (
                  SELECT * FROM newest WHERE (device = 'cpu') = (newest_device = 'cpu')
                  QUALIFY row_number() OVER (PARTITION BY model_id ORDER BY created_at DESC)
                    <= {_BATCHES}
                )
                SELECT model_id, coalesce(name, model_id[:12]), any_value(newest_device),
                  list(audio_s ORDER BY created_at, attempt_id),
                  list(wall_s ORDER BY created_at, attempt_id)
                FROM used LEFT JOIN (
                  SELECT model_id, max_by(model, created_at) AS name FROM transcripts
                  GROUP BY model_id) USING (model_id)
                GROUP BY model_id, name"""
        ).fetchall()
    speeds = [
        MeasuredSpeed(model_id, model, device, *_ratio(audio_s, wall_s), len(audio_s))
        for model_id, model, device, audio_s, wall_s in rows
    ]
    return sorted(speeds, key=lambda speed: -speed.rtfx)


def _ratio(audio_s: list[float], wall_s: list[float]) -> tuple[float, float | None, float | None]:
    """The sum of one over that of the other, with a 90 % interval by a bootstrap over batches."""
    audio, wall = np.asarray(audio_s), np.asarray(wall_s)
    ratio = float(audio.sum() / wall.sum())
    if len(audio) < _FEWEST:
        return ratio, None, None
    drawn = np.random.default_rng(0).integers(len(audio), size=(_DRAWS, len(audio)))
    low, high = np.quantile(audio[drawn].sum(axis=1) / wall[drawn].sum(axis=1), [0.05, 0.95])
    return ratio, float(low), float(high)


def besides_s(lake: Lake) -> float:
    """Seconds of a worker that a batch takes besides transcription, in the newest complete runs.

    That includes the time that workers wait for each other at the end. `BESIDES_S` if there is no
    such run.
    """
    rows = read(
        lake,
        """SELECT greatest(0, (workers * epoch(ended - planned_at) - wall_s) / batches) AS besides_s
           FROM (
             SELECT run_id, p.created_at AS planned_at, p.batches,
               least(p.workers, p.batches) AS workers, max(b.created_at) AS ended,
               sum(b.wall_s) AS wall_s, count(DISTINCT b.batch_id) AS done
             FROM plans AS p JOIN batches AS b USING (run_id) GROUP BY ALL)
           WHERE done >= batches ORDER BY planned_at DESC LIMIT $limit""",
        limit=_RUNS,
    )
    return float(np.median(rows["besides_s"])) if rows.num_rows else BESIDES_S


def estimate(
    audio_s: float,
    batches: int,
    workers: int,
    besides: float,
    rtfx: float,
    low: float | None = None,
    high: float | None = None,
) -> Estimate:
    """The time for batches that workers share.

    Args:
        audio_s: seconds of audio, counted once per task
        besides: as `besides_s` gives it
        rtfx: seconds of audio per second of a worker; `low` and `high`: its interval

    >>> estimate(3600, batches=4, workers=2, besides=5, rtfx=10)
    Estimate(expected_s=190.0, shortest_s=None, longest_s=None)
    """
    workers = max(1, min(workers, batches))
    rest = besides * batches / workers

    def time(speed: float | None) -> float | None:
        return None if speed is None else audio_s / (speed * workers) + rest

    return Estimate(audio_s / (rtfx * workers) + rest, time(high), time(low))
