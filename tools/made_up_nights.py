"""Nights as runs leave them in a lake, with rows that are made up.

One a day, the last one yesterday. Every batch commits its segments, its attempt and its
transcripts. One batch in a hundred is killed before its last commit; of one in fifty, a transcript
is replaced later.
"""

from __future__ import annotations

import sys
import time
import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from tools.dated_commits import DatedCommits

if TYPE_CHECKING:
    from nightscribe.lake.tables import Lake

SEGMENTS = 10
"""Of a transcript."""

MODEL = "m" * 64

_TABLES = ("recordings", "sources", "segments", "batches", "transcripts")
_CHECKPOINT = 10  # nights


@dataclass(frozen=True)
class Attempt:
    """What a batch commits: a row of `batches`, and those of its transcripts."""

    segments: pa.Table
    batches: pa.Table
    transcripts: pa.Table

    def commit_all(self, lake: Lake) -> None:
        """Commit it as a task does."""
        for name in ("segments", "batches", "transcripts"):
            lake.append(name, getattr(self, name))


class Pattern:
    """Attempts of the same number of recordings, which differ in their identifiers and times."""

    def __init__(self, recordings: int) -> None:
        from nightscribe.lake.rows import rows_of

        transcripts = [_transcript(f"{number:064}") for number in range(recordings)]
        segments = [_segment(row, index) for row in transcripts for index in range(SEGMENTS)]
        self._segments = rows_of("segments", segments)
        self._batches = rows_of("batches", [_batch(recordings)], "night")
        self._transcripts = rows_of("transcripts", transcripts, "night")

    def attempt(
        self, ids: Sequence[str], at: datetime, sequence: int = 0, model_id: str = MODEL
    ) -> Attempt:
        """An attempt at recordings; `sequence` is the version of `transcripts` that it makes."""
        attempt = uuid.uuid4().hex
        own = {
            "attempt_id": [attempt],
            "batch_id": [attempt],
            "model_id": [model_id],
            "created_at": [at],
        }
        transcripts = [uuid.uuid4().hex for _ in ids]
        of_each = {name: values * len(ids) for name, values in own.items()}
        return Attempt(
            _with(
                self._segments,
                transcript_id=[one for one in transcripts for _ in range(SEGMENTS)],
                recording_id=[one for one in ids for _ in range(SEGMENTS)],
            ),
            _with(self._batches, **own),
            _with(
                self._transcripts,
                transcript_id=transcripts,
                recording_id=[*ids],
                text=[_text(one) for one in ids],
                sequence=[sequence] * len(ids),
                **of_each,
            ),
        )


def make_lake(uri: str, nights: int, batches: int, recordings: int) -> None:
    """Make a lake of so many nights of so many batches of so many recordings."""
    from nightscribe.lake.opening import open_lake
    from nightscribe.lake.rows import rows_of
    from nightscribe.stages.publish import publish

    lake = open_lake(uri)
    first = datetime.now(UTC) - timedelta(days=nights)
    tables = {name: DatedCommits(lake, name, first) for name in _TABLES}
    whole, one = Pattern(recordings), Pattern(1)
    started = time.monotonic()
    for night in range(nights):
        at = first + timedelta(days=night)
        ids = [uuid.uuid4().hex * 2 for _ in range(batches * recordings)]
        found = [_source(night, number, recording) for number, recording in enumerate(ids)]
        known = rows_of("recordings", map(_recording, ids), "night")
        tables["recordings"].commit(_with(known, created_at=[at] * len(ids)), at)
        sources = rows_of("sources", found, "night")
        tables["sources"].commit(_with(sources, created_at=[at] * len(ids)), at)
        for batch in range(batches):
            number = night * batches + batch
            mine = ids[batch * recordings : (batch + 1) * recordings]
            then = at + timedelta(minutes=batch)
            made, files = _commit(tables, whole, mine, then, finish=number % 100 != 7)
            if number % 50 == 3:
                _replace_first(tables, one, mine, then, made, files)
        if night % _CHECKPOINT == _CHECKPOINT - 1 or night == nights - 1:
            for table in tables.values():
                table.checkpoint(at)
            took = time.monotonic() - started
            left = took / (night + 1) * (nights - night - 1)
            said = f"{night + 1:,} nights in {took:,.0f} s, {left:,.0f} s to go"
            print(said, file=sys.stderr, flush=True)
    publish(lake)


def _commit(
    tables: dict[str, DatedCommits],
    pattern: Pattern,
    ids: Sequence[str],
    at: datetime,
    *,
    finish: bool,
) -> tuple[Attempt, dict[str, str]]:
    """Commit an attempt, but for its transcripts if it does not finish. Returns its files."""
    made = pattern.attempt(ids, at, tables["transcripts"].version + 1)
    names = ("segments", "batches", "transcripts") if finish else ("segments", "batches")
    return made, {name: tables[name].commit(getattr(made, name), at) for name in names}


def _replace_first(
    tables: dict[str, DatedCommits],
    one: Pattern,
    ids: Sequence[str],
    at: datetime,
    made: Attempt,
    files: dict[str, str],
) -> None:
    """Replace the first transcript of an attempt, and delete what belonged to the old one."""
    again = one.attempt(ids[:1], at, tables["transcripts"].version + 1)
    for name in ("segments", "batches"):
        tables[name].commit(getattr(again, name), at)
    kept = pa.concat_tables([again.transcripts, made.transcripts[1:]])
    tables["transcripts"].commit(kept, at, instead_of=files["transcripts"])
    tables["segments"].commit(made.segments[SEGMENTS:], at, instead_of=files["segments"])


def _with(table: pa.Table, **columns: Sequence[Any]) -> pa.Table:
    """The table with other values in these columns."""
    for name, values in columns.items():
        place = table.column_names.index(name)
        field = table.schema.field(place)
        table = table.set_column(place, field, pa.array(values, field.type))
    return table


def _recording(recording_id: str) -> dict[str, Any]:
    return {
        "recording_id": recording_id,
        "duration_s": 60.0,
        "container": "flac",
        "codec": "flac",
        "sample_rate": 16_000,
        "channels": 1,
        "size_bytes": 1_000_000,
    }


def _source(night: int, number: int, recording_id: str) -> dict[str, Any]:
    return {
        "archive": "file:///archives/radio",
        "member": f"{night:04}/{number:05}.flac",
        "recording_id": recording_id,
        "collection": "file:///archives/radio",
        "position": 0,
        "size_bytes": 1_000_000,
        "version": "1",
    }


def _text(recording_id: str) -> str:
    return f"What recording {recording_id} says, in about as many words as a minute has."


def _transcript(recording_id: str) -> dict[str, Any]:
    return {
        "transcript_id": "",
        "recording_id": recording_id,
        "model_id": MODEL,
        "task": "transcribe",
        "options_key": "0123456789abcdef",
        "model": "turbo",
        "options": "{}",
        "language": "en",
        "language_probability": 0.9,
        "text": _text(recording_id),
        "duration_s": 60.0,
        "avg_logprob": -0.2,
        "temperature": 0.0,
        "segment_count": SEGMENTS,
        "engine": "batched",
        "precision": "float16",
        "versions": "{}",
        "batch_id": "",
        "attempt_id": "",
    }


def _segment(transcript: dict[str, Any], index: int) -> dict[str, Any]:
    return {
        "transcript_id": transcript["transcript_id"],
        "recording_id": transcript["recording_id"],
        "index": index,
        "seek": 0,
        "start_s": 6.0 * index,
        "end_s": 6.0 * index + 5,
        "text": f" This is what was said in part {index}, or something like it.",
        "tokens": [50364, *range(index, index + 14), 50564],
        "temperature": 0.0,
        "avg_logprob": -0.2,
        "compression_ratio": 1.2,
        "no_speech_prob": 0.1,
        "words": None,
    }


def _batch(transcripts: int) -> dict[str, Any]:
    return {
        "attempt_id": "",
        "batch_id": "",
        "model_id": MODEL,
        "recordings": transcripts,
        "transcripts": transcripts,
        "rejections": 0,
        "device": "GPU",
        "audio_s": 60.0 * transcripts,
        "wall_s": 60.0,
        "rtfx": float(transcripts),
        "peak_memory_bytes": 0,
        "worker": "w",
    }
