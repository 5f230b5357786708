"""What a lake is like after many nights, before and after maintenance.

Makes a lake of nights as a run leaves them, with rows that are made up: every batch commits its
segments, its attempt and its transcripts. One batch in a hundred is killed before its last commit,
and one in fifty replaces the transcripts of an earlier one. Then everything is measured in new
processes, maintained as if it were older than `NIGHTSCRIBE_KEEP_DAYS`, and measured again.

    python tools/measure_nights.py [--nights N] [--batches N] [--recordings N] [--folder FOLDER]
"""

from __future__ import annotations

import argparse
import functools
import json
import os
import signal
import sys
import tempfile
import time
import uuid
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pyarrow as pa

    from nightscribe.lake.tables import Lake

TIMES = (
    "open one table",
    "count segments",
    "hours by language",
    "one recording's segments",
    "plan",
    "publish",
)
SEGMENTS = 10
"""Of a transcript."""


def make_lake(uri: str, nights: int, batches: int, recordings: int) -> None:
    """Commit so many nights of so many batches of so many recordings."""
    from nightscribe.lake.keys import KEYS
    from nightscribe.lake.opening import open_lake
    from nightscribe.lake.replaced import note_replaced
    from nightscribe.lake.rows import rows_of
    from nightscribe.stages.publish import publish

    lake = open_lake(uri)
    started = time.monotonic()
    for night in range(nights):
        ids = [uuid.uuid4().hex * 2 for _ in range(batches * recordings)]
        lake.append("recordings", rows_of("recordings", map(_recording, ids), "night"))
        lake.append(
            "sources",
            rows_of("sources", (_source(night, i, one) for i, one in enumerate(ids)), "night"),
        )
        for batch in range(batches):
            number = night * batches + batch
            mine = ids[batch * recordings : (batch + 1) * recordings]
            table = _attempt(lake, mine)
            if number % 100 != 7:
                lake.append("transcripts", table)
            if number % 50 == 3:
                again = _attempt(lake, mine[:1])
                note = note_replaced(lake, again)
                lake.upsert("transcripts", again, KEYS["transcripts"], note=note)
        if night % 10 == 9 or night == nights - 1:
            publish(lake)
            took = time.monotonic() - started
            print(f"{night + 1} nights, {took:.0f} s", file=sys.stderr, flush=True)


def _attempt(lake: Lake, ids: Sequence[str]) -> pa.Table:
    """Commit the segments of an attempt, and the attempt. Returns its transcripts."""
    from nightscribe.lake.rows import rows_of

    attempt = uuid.uuid4().hex
    rows = [_transcript(one, attempt) for one in ids]
    segments = [_segment(row, index) for row in rows for index in range(SEGMENTS)]
    lake.append("segments", rows_of("segments", segments))
    lake.append("batches", rows_of("batches", [_batch(attempt, len(rows))], "night"))
    return rows_of("transcripts", rows, "night")


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


def _transcript(recording_id: str, attempt: str) -> dict[str, Any]:
    return {
        "transcript_id": uuid.uuid4().hex,
        "recording_id": recording_id,
        "model_id": "m" * 64,
        "task": "transcribe",
        "options_key": "0123456789abcdef",
        "model": "turbo",
        "options": "{}",
        "language": "en",
        "language_probability": 0.9,
        "text": f"What recording {recording_id} says, in about as many words as a minute has.",
        "duration_s": 60.0,
        "avg_logprob": -0.2,
        "temperature": 0.0,
        "segment_count": SEGMENTS,
        "engine": "batched",
        "precision": "float16",
        "versions": "{}",
        "batch_id": attempt,
        "attempt_id": attempt,
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


def _batch(attempt: str, transcripts: int) -> dict[str, Any]:
    return {
        "attempt_id": attempt,
        "batch_id": attempt,
        "model_id": "m" * 64,
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


def measured(uri: str) -> dict[str, float]:
    """Seconds of what people and nights do with the lake, and what is on the disk."""
    from nightscribe.lake.opening import open_lake
    from nightscribe.lake.reading import connect
    from nightscribe.stages.publish import publish
    from tools.measure_plan import peak_mb, plan_once

    lake = open_lake(uri)
    result: dict[str, float] = {}

    def timed(name: str, act: Callable[[], object]) -> None:
        started = time.monotonic()
        act()
        result[name] = time.monotonic() - started

    def sql(query: str, *views: str) -> Callable[[], object]:
        def run() -> object:
            with connect(lake, views=views) as connection:
                return connection.execute(query).fetchall()

        return run

    timed("open one table", lambda: lake.table("segments"))
    count = "SELECT count(*) FROM segments"
    timed("count segments", sql(count, "segments"))
    hours = "SELECT language, sum(duration_s) FROM latest_transcripts GROUP BY ALL"
    timed("hours by language", sql(hours, "latest_transcripts"))
    one = "SELECT * FROM segments WHERE recording_id = (SELECT min(recording_id) FROM recordings)"
    timed("one recording's segments", sql(one, "segments", "recordings"))
    timed("plan", lambda: plan_once(uri, "new-model", "file:///archives/radio"))
    timed("publish", lambda: publish(lake))
    folder = Path(uri)
    files = [path for path in folder.rglob("*") if path.is_file()]
    return {
        **result,
        "peak memory, MB": peak_mb(),
        "files": len(files),
        "files of logs": sum("_delta_log" in path.parts for path in files),
        "size, MB": sum(path.stat().st_size for path in files) / 1e6,
    }


def maintained(uri: str) -> dict[str, float]:
    """Maintain the lake as if all of it were old. Returns seconds and memory."""
    from nightscribe.lake.opening import open_lake
    from nightscribe.settings import Settings
    from nightscribe.stages.maintain import maintain
    from tools.measure_plan import peak_mb

    settings = Settings().model_copy(update={"keep_days": 0.0, "batch_hours_max": 0.0})
    started = time.monotonic()
    done = maintain(
        open_lake(uri), settings, "measure", say=lambda line: print(line, file=sys.stderr)
    )
    print(done.summary(), file=sys.stderr)
    return {"seconds": time.monotonic() - started, "peak memory, MB": peak_mb()}


STEPS: dict[str, Callable[..., Any]] = {
    "make": lambda uri, *numbers: make_lake(uri, *map(int, numbers)),
    "measure": measured,
    "maintain": maintained,
}


def main(folder: str, nights: int, batches: int, recordings: int) -> None:
    """Make a lake, measure, maintain, measure; print a table."""
    from nightscribe.text_tables import markdown_table
    from tools.measure_plan import in_own_process

    run = functools.partial(in_own_process, script=__file__)
    lake = f"{folder}/lake"
    if not Path(lake).exists():
        run("--make", lake, nights, batches, recordings)
    before = run("--measure", lake)
    maintenance = run("--maintain", lake)
    after = run("--measure", lake)
    again = run("--maintain", lake)
    print(f"{nights} nights of {batches} batches of {recordings} recordings\n")
    lines = []
    for name in before:
        digits, unit = (2, ", s") if name in TIMES else (0, "")
        cells = (f"{found[name]:,.{digits}f}" for found in (before, after))
        lines.append([f"{name}{unit}", *cells])
    print(markdown_table(["what", "before", "after"], lines))
    print(
        f"\nmaintenance: {maintenance['seconds']:.1f} s, {maintenance['peak memory, MB']:.0f} MB; "
        f"once more, with nothing to do: {again['seconds']:.1f} s"
    )


if __name__ == "__main__":
    signal.signal(signal.SIGPIPE, signal.SIG_DFL)  # a reader such as `head` may go away
    sys.path.insert(0, str(Path(__file__).parents[1]))
    if sys.argv[1:2] and (chosen := STEPS.get(sys.argv[1].removeprefix("--"))):
        print(json.dumps(chosen(*sys.argv[2:])), flush=True)
        os._exit(0)  # for why, see `nightscribe.cli.command`
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--nights", type=int, default=1_000)
    parser.add_argument("--batches", type=int, default=66, help="a night: three commits each")
    parser.add_argument("--recordings", type=int, default=10, help="of a batch")
    parser.add_argument("--folder", help="where the lake is made, or is already")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="nightscribe-measure-") as temporary:
        main(given.folder or temporary, given.nights, given.batches, given.recordings)
