"""Transcribe one batch. A batch is retried and committed as a whole."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from structlog.contextvars import bind_contextvars

from nightscribe.errors import ConfigurationError, NightscribeError
from nightscribe.lake.damage import explains
from nightscribe.lake.reading import connect
from nightscribe.lake.specs import read_spec
from nightscribe.lake.tables import Lake
from nightscribe.settings import Settings
from nightscribe.stages.attempt import Attempt
from nightscribe.stages.done import DONE
from nightscribe.whisper.contract import Engine, LoadedModel
from nightscribe.whisper.options import Options

__all__ = ["Transcribed", "transcribe_batch"]

Row = dict[str, Any]


@dataclass(frozen=True)
class Transcribed:
    """The outcome of one attempt at a batch."""

    batch_id: str
    transcripts: int
    rejections: int
    postponed: int  # left to the next run, because the batch ran out of time
    skipped: int  # already made by another run or attempt
    audio_s: float
    wall_s: float
    model: str = ""  # its name; empty if nothing was left to transcribe

    @property
    def rtfx(self) -> float:
        """Seconds of audio per second of wall time."""
        return self.audio_s / self.wall_s if self.wall_s > 0 else 0.0

    def summary(self) -> str:
        """One line for people."""
        postponed = f"{self.postponed} left to the next run, " if self.postponed else ""
        return (
            f"batch {self.batch_id}: {self.transcripts} transcripts, {self.rejections} rejected, "
            f"{postponed}{self.skipped} already made, {self.audio_s:.1f} s of audio in "
            f"{self.wall_s:.1f} s, RTFx {self.rtfx:.1f}"
        )


@explains
def transcribe_batch(
    lake: Lake,
    spec: str,
    run_id: str,
    load: Callable[[str], LoadedModel],
    engine: Engine,
    *,
    settings: Settings,
) -> Transcribed:
    """Transcribe the rows of a batch spec that are not done, and commit them together.

    Args:
        load: returns the model with a name; called only if a transcript is missing
        settings: its `engine` is the value of the column `transcripts.engine`

    Raises:
        NightscribeError: the model differs from the one that the batch was planned for.
        ConfigurationError: an option is invalid for the model.
    """
    rows = read_spec(lake, spec).to_pylist()
    if not rows:  # all of its recordings have been forgotten since it was planned
        return Transcribed("", 0, 0, 0, 0, 0.0, 0.0)
    batch_id, force = rows[0]["batch_id"], rows[0]["force"]
    bind_contextvars(batch_id=batch_id)  # a field of every line that this task logs from here on
    transaction = f"batch:{batch_id}"
    todo = _todo(lake, rows, transaction)
    skipped = len(rows) - len(todo.rows)
    if not todo.rows:
        return Transcribed(batch_id, 0, 0, 0, skipped, 0.0, 0.0)
    model = load(rows[0]["model"])
    _check_model(model, rows)
    attempt = Attempt(lake, model, todo.rows, run_id, batch_id, settings)
    attempt.work(engine)
    attempt.commit(replace=force or todo.replaces, transaction=transaction)
    return Transcribed(
        batch_id,
        len(attempt.transcripts),
        len(attempt.failures),
        len(attempt.postponed),
        skipped,
        attempt.audio_s,
        attempt.wall_s,
        model.name,
    )


@dataclass(frozen=True)
class _Todo:
    """Rows of a spec whose transcripts are not done, and whether old transcripts exist."""

    rows: list[Row]
    replaces: bool


def _todo(lake: Lake, rows: list[Row], transaction: str) -> _Todo:
    """The rows that are not done: an earlier attempt or another run may have done some."""
    force, batch_id, model_id = (rows[0][name] for name in ("force", "batch_id", "model_id"))
    if force and lake.was_committed("transcripts", transaction):
        return _Todo([], replaces=True)
    with connect(lake, views=["transcripts", "rejected"]) as connection:
        found = connection.execute(
            f"""SELECT t.recording_id, t.task, t.options_key, t.batch_id, d.transcript_id
                FROM transcripts AS t LEFT JOIN {DONE} AS d USING (transcript_id)
                WHERE t.model_id = ? AND t.recording_id IN (SELECT unnest(?))""",
            [model_id, sorted({row["recording_id"] for row in rows})],
        ).fetchall()
    existing = {tuple(key): (batch, done is not None) for *key, batch, done in found}

    def is_done(row: Row) -> bool:
        batch, done = existing.get(_key(row), (None, False))
        # A forced batch replaces every transcript of another batch.
        return done and (not force or batch == batch_id)

    todo = [row for row in rows if not is_done(row)]
    return _Todo(todo, replaces=any(_key(row) in existing for row in todo))


def _key(row: Row) -> tuple[str, str, str]:
    return row["recording_id"], row["task"], row["options_key"]


def _check_model(model: LoadedModel, rows: list[Row]) -> None:
    planned = rows[0]["model_id"]
    if model.model_id != planned:
        raise NightscribeError(
            f"model {rows[0]['model']} was {planned[:12]} when the batch was planned, but is "
            f"{model.model_id[:12]} on this worker: give every worker the same file, then start a "
            "new run"
        )
    for options in {row["options"] for row in rows}:
        mistake = Options.from_mapping(json.loads(options)).mistake_for(model.network.dims.n_vocab)
        if mistake:
            raise ConfigurationError(f"option {mistake}")
