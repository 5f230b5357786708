"""Rows of attempts that never were, for tests of what the lake makes of them."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import pyarrow as pa

from nightscribe.lake.keys import KEYS
from nightscribe.lake.replaced import note_replaced
from nightscribe.lake.rows import rows_of
from nightscribe.lake.schema import SCHEMAS
from nightscribe.lake.tables import Lake


def segment(transcript: str, index: int = 0) -> dict[str, Any]:
    return {
        "transcript_id": transcript,
        "recording_id": "r",
        "index": index,
        "seek": 0,
        "start_s": float(index),
        "end_s": index + 1.0,
        "text": " hm",
        "tokens": [1],
        "temperature": 0.0,
        "avg_logprob": -0.1,
        "compression_ratio": 1.0,
        "no_speech_prob": 0.0,
        "words": None,
    }


def transcript(name: str, recording: str = "r", **changes: Any) -> dict[str, Any]:
    return {
        "transcript_id": name,
        "recording_id": recording,
        "model_id": "m",
        "task": "transcribe",
        "options_key": "o",
        "model": "demo",
        "options": "{}",
        "language": "en",
        "text": name,
        "duration_s": 1.0,
        "segment_count": 1,
        "engine": "reference",
        "precision": "float32",
        "versions": "{}",
        "batch_id": "b",
        "attempt_id": f"attempt of {name}",
        **changes,
    }


def attempt(name: str, transcripts: int) -> dict[str, Any]:
    return {
        "attempt_id": name,
        "batch_id": "b",
        "model_id": "m",
        "recordings": 1,
        "transcripts": transcripts,
        "rejections": 0,
        "device": "cpu",
        "audio_s": 1.0,
        "wall_s": 1.0,
        "rtfx": 1.0,
        "peak_memory_bytes": 0,
        "worker": "w",
    }


def filled(name: str, **values: Any) -> dict[str, Any]:
    """A row of a table with these values, and something in all other columns that need it."""
    empty = {"string": "", "double": 0.0, "bool": False, "binary": b""}
    return {
        field.name: empty.get(str(field.type), [] if pa.types.is_list(field.type) else 0)
        for field in SCHEMAS[name]
        if not field.nullable and field.name not in ("run_id", "created_at")
    } | values


def add(lake: Lake, name: str, *rows: dict[str, Any]) -> None:
    """Commit rows, whatever else the table has."""
    lake.append(name, rows_of(name, list(rows), "run"))


def add_plan(lake: Lake, at: datetime, **values: Any) -> None:
    """Plan a run, `run`, at a time."""
    row = {"run_id": "run", "created_at": at} | filled("plans", **values)
    lake.append("plans", rows_of("plans", [row]))


def add_batch(lake: Lake, name: str, at: datetime, **changes: Any) -> None:
    """Commit a batch of that run, with a transcript, at a time."""
    stamp = {"run_id": "run", "created_at": at}
    row = attempt(f"attempt {name}", 1) | {"batch_id": name} | stamp | changes
    lake.append("batches", rows_of("batches", [row]))
    made = transcript(f"t-{name}", f"r-{name}", attempt_id=f"attempt {name}", batch_id=name)
    lake.append("transcripts", rows_of("transcripts", [made | stamp]))


def commit(lake: Lake, name: str, recordings: str, *, finish: bool = True) -> None:
    """What an attempt commits: a transcript of two segments for each recording, by replacing."""
    rows = [
        transcript(f"{one}-{name}", one, attempt_id=name, segment_count=2) for one in recordings
    ]
    segments = [
        segment(row["transcript_id"], index) | {"recording_id": row["recording_id"]}
        for row in rows
        for index in range(2)
    ]
    lake.append("segments", rows_of("segments", segments))
    lake.append("batches", rows_of("batches", [attempt(name, len(rows))], "run"))
    if finish:
        table = rows_of("transcripts", rows, "run")
        note = note_replaced(lake, table)
        lake.upsert("transcripts", table, KEYS["transcripts"], note=note)
