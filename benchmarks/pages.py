"""How fast the pages are on a large lake: `python -m benchmarks.pages --recordings 1000000`.

Makes a lake with recordings, one source and one transcript each, and ten segments each, then asks
for pages as a browser does, in this process. Prints the median and the slowest of several requests.
"""

from __future__ import annotations

import argparse
import hashlib
import statistics
import tempfile
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pyarrow as pa
from fastapi import Request
from fastapi.testclient import TestClient

from nightscribe.lake.opening import open_lake, open_to_read
from nightscribe.lake.schema import WRITTEN_SCHEMAS
from nightscribe.lake.tables import Lake
from nightscribe.settings import Settings
from nightscribe.web.access import Person, Right
from nightscribe.web.app import create_app
from nightscribe.web.site import Site, Upload, UploadState

_ROWS = 100_000  # recordings of one commit
_SEGMENTS = 10  # of a recording
_LANGUAGES = ["en", "de", "fr", "es", "zh", "ru"]
_START = datetime(2026, 1, 1, tzinfo=UTC)


class _NoRuns:
    async def start(self, request: Request, upload: Upload) -> str:
        raise NotImplementedError

    async def state(self, request: Request, run_id: str) -> UploadState | None:
        return None


def _table(name: str, columns: dict[str, object], count: int) -> pa.Table:
    """A table of the lake's schema; a single value stands for all rows."""
    schema = WRITTEN_SCHEMAS[name]
    arrays = [
        columns[field.name]
        if isinstance(columns.get(field.name), pa.Array | pa.ChunkedArray)
        else pa.array([columns.get(field.name)] * count, field.type)
        for field in schema
    ]
    return pa.Table.from_arrays(arrays, schema=schema)


def _parts(first: int, count: int) -> Iterator[tuple[str, pa.Table]]:
    numbers = range(first, first + count)
    ids = [hashlib.sha256(str(number).encode()).hexdigest() for number in numbers]
    at = pa.array([_START + timedelta(seconds=7 * number) for number in numbers])
    generator = np.random.default_rng(first)
    seconds = pa.array(generator.exponential(600, count))
    stamp = {"run_id": f"run {first}", "created_at": at.cast(pa.timestamp("us", tz="UTC"))}
    recordings = {
        "recording_id": pa.array(ids),
        "duration_s": seconds,
        "container": "wav",
        "codec": "pcm_s16le",
        "sample_rate": 16_000,
        "channels": 1,
        "size_bytes": 1_000_000,
        **stamp,
    }
    yield "recordings", _table("recordings", recordings, count)
    sources = {
        "archive": "file:///archives/radio",
        "collection": "file:///archives/radio",
        "member": pa.array([f"{n // 1000:04}/programme-{n:07}.wav" for n in numbers]),
        "recording_id": pa.array(ids),
        "position": pa.array(list(numbers)),
        "size_bytes": 1_000_000,
        "version": "1",
        **stamp,
    }
    yield "sources", _table("sources", sources, count)
    languages = [_LANGUAGES[n % len(_LANGUAGES)] for n in numbers]
    transcripts = {
        "transcript_id": pa.array([one[:32] for one in ids]),
        "recording_id": pa.array(ids),
        "model_id": "0" * 64,
        "task": "transcribe",
        "options_key": "0" * 16,
        "model": "turbo",
        "options": "{}",
        "language": pa.array(languages),
        "text": pa.array([f"a text of programme {n} about the weather" for n in numbers]),
        "duration_s": seconds,
        "avg_logprob": pa.array(-generator.random(count)),
        "segment_count": _SEGMENTS,
        "engine": "batched",
        "precision": "float16",
        "versions": "{}",
        "batch_id": "b",
        "attempt_id": f"a{first}",
        **stamp,
    }
    yield "transcripts", _table("transcripts", transcripts, count)
    many = count * _SEGMENTS
    index = np.tile(np.arange(_SEGMENTS, dtype=np.int32), count)
    segments = {
        "transcript_id": pa.array(np.repeat(np.array([one[:32] for one in ids]), _SEGMENTS)),
        "recording_id": pa.array(np.repeat(np.array(ids), _SEGMENTS)),
        "index": pa.array(index),
        "seek": pa.array(index.astype(np.int64) * 500),
        "start_s": pa.array(index * 5.0),
        "end_s": pa.array(index * 5.0 + 5),
        "text": " the words of one segment of a programme about the weather",
        "tokens": pa.array([[1, 2]] * many, pa.list_(pa.int32())),
        "temperature": 0.0,
        "avg_logprob": -0.3,
        "compression_ratio": 1.2,
        "no_speech_prob": 0.01,
    }
    yield "segments", _table("segments", segments, many)


def make(lake: Lake, recordings: int) -> None:
    """Fill a new lake."""
    for first in range(0, recordings, _ROWS):
        for name, rows in _parts(first, min(_ROWS, recordings - first)):
            lake.append(name, rows)


def main() -> None:
    """Make the lake, ask for the pages, print the times."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--recordings", type=int, default=1_000_000)
    parser.add_argument("--repeats", type=int, default=7)
    parser.add_argument("--lake", help="use or make this one (default: a temporary one)")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        uri = arguments.lake or f"{folder}/lake"
        is_new = not Path(uri).exists()
        lake = open_lake(uri)
        started = time.monotonic()
        if is_new:
            make(lake, arguments.recordings)
            print(f"{arguments.recordings:,} recordings made in {time.monotonic() - started:.0f} s")

        async def access(request: Request) -> Person:
            return Person("bench", frozenset(Right))

        site = Site(Settings(lake=uri), lambda: open_to_read(uri), access, _NoRuns())
        client = TestClient(create_app(site), headers={"accept": "text/html"})
        one = hashlib.sha256(b"77").hexdigest()
        last = f"2026-02-01T00:00:00+00:00,{'0' * 64}"
        for path in (
            "/",
            "/recordings",
            f"/recordings?after={last.replace('+', '%2B')}",
            "/recordings?language=de",
            "/recordings?sort=longest&doubtful=1",
            "/recordings?name=0000777",
            f"/recordings/{one}",
            "/quality",
        ):
            took = []
            for _ in range(arguments.repeats):
                begin = time.monotonic()
                assert client.get(path).status_code == 200
                took.append(1000 * (time.monotonic() - begin))
            print(f"{statistics.median(took):7.0f} ms (slowest {max(took):.0f})  {path}")


if __name__ == "__main__":
    main()
