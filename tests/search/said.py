"""Lakes in which something was said, without a transcription."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from nightscribe.lake.keys import KEYS
from nightscribe.lake.rows import rows_of
from nightscribe.lake.tables import Lake


def say(
    lake: Lake,
    recording_id: str,
    *texts: str,
    task: str = "transcribe",
    language: str = "en",
    model: str = "demo",
    at: datetime | None = None,
) -> str:
    """Commit a transcript with these segments, and a place of its recording. Returns its id."""
    transcript_id = uuid.uuid4().hex
    transcript: dict[str, Any] = {
        "transcript_id": transcript_id,
        "recording_id": recording_id,
        "model_id": model,
        "task": task,
        "options_key": "o",
        "model": model,
        "options": "{}",
        "language": language,
        "text": "".join(texts),
        "duration_s": 4.0 * len(texts),
        "segment_count": len(texts),
        "engine": "batched",
        "precision": "float32",
        "versions": "{}",
        "batch_id": "b",
        "attempt_id": "a",
        "created_at": at or datetime.now(UTC),
    }
    place = {
        "archive": "/archives/radio",
        "member": f"{recording_id[:8]}.wav",
        "recording_id": recording_id,
        "collection": "/archives/radio",
        "position": 0,
        "size_bytes": 1,
        "version": "1",
    }
    lake.insert_new("sources", rows_of("sources", [place], "run"), KEYS["sources"])
    lake.append("segments", rows_of("segments", _segments(transcript_id, recording_id, texts)))
    lake.upsert("transcripts", rows_of("transcripts", [transcript], "run"), KEYS["transcripts"])
    return transcript_id


def _segments(transcript_id: str, recording_id: str, texts: Sequence[str]) -> list[dict[str, Any]]:
    return [
        {
            "transcript_id": transcript_id,
            "recording_id": recording_id,
            "index": index,
            "seek": 0,
            "start_s": 4.0 * index,
            "end_s": 4.0 * index + 4,
            "text": text,
            "tokens": [1],
            "temperature": 0.0,
            "avg_logprob": -0.1,
            "compression_ratio": 1.0,
            "no_speech_prob": 0.0,
            "words": None,
        }
        for index, text in enumerate(texts)
    ]
