"""How fast the pages are on a large lake: `python -m benchmarks.pages --recordings 1000000`.

Makes a lake with recordings, one source and one transcript each, and ten segments each. Then a
server process answers: to one reader, page by page; to 50 readers at once beside a heavy query; and
to 10,000 requests, before and after which its memory is read.
"""

from __future__ import annotations

import argparse
import asyncio
import hashlib
import random
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from urllib.parse import quote

import httpx
import numpy as np
import psutil
import pyarrow as pa
import uvicorn
from fastapi import Request

from nightscribe.airflow.standalone import HOST, free_port
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

    def may_have(self, run_id: str) -> bool:
        return False


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


_HEAVY = "SELECT sum(a.start_s * b.start_s) FROM segments AS a, segments AS b"


def serve(uri: str, port: int) -> None:
    """Serve the pages of a lake, to everybody."""

    async def access(request: Request) -> Person:
        return Person("bench", frozenset(Right))

    site = Site(Settings(lake=uri), lambda: open_to_read(uri), access, _NoRuns())
    uvicorn.run(create_app(site), host=HOST, port=port, log_level="error")


@contextmanager
def server(uri: str) -> Iterator[tuple[str, psutil.Process]]:
    port = free_port()
    program = f"from benchmarks.pages import serve; serve({uri!r}, {port})"
    with subprocess.Popen([sys.executable, "-c", program]) as process:
        url = f"http://{HOST}:{port}"
        try:
            for _ in range(300):
                try:
                    httpx.get(f"{url}/static/pages.css")
                    break
                except httpx.ConnectError:
                    time.sleep(0.1)
            yield url, psutil.Process(process.pid)
        finally:
            process.terminate()


def _paths(recordings: int) -> list[str]:
    """Addresses of pages, other ones at each call."""
    number = random.randrange(recordings)
    one = hashlib.sha256(str(number).encode()).hexdigest()
    at = (_START + timedelta(seconds=7 * number)).isoformat()
    return [
        "/",
        "/recordings",
        f"/recordings?after={quote(f'{at},{one}')}",
        "/recordings?language=de",
        "/recordings?sort=longest&doubtful=1",
        f"/recordings?name=programme-{number:07}",
        f"/recordings/{one}",
        "/quality",
    ]


def _one_reader(client: httpx.Client, recordings: int, repeats: int) -> None:
    took: list[list[float]] = [[] for _ in _paths(recordings)]
    for _ in range(repeats):
        for times, path in zip(took, _paths(recordings), strict=True):
            begin = time.monotonic()
            assert client.get(path).status_code == 200
            times.append(1000 * (time.monotonic() - begin))
    for times, path in zip(took, _paths(recordings), strict=True):
        print(f"{statistics.median(times):7.0f} ms (slowest {max(times):.0f})  {path[:60]}")


async def _many_readers(url: str, recordings: int, readers: int, seconds: float) -> None:
    took: list[float] = []
    end = time.monotonic() + seconds
    async with httpx.AsyncClient(
        base_url=url, timeout=120, limits=httpx.Limits(max_connections=readers + 5)
    ) as client:

        async def read() -> None:
            await asyncio.sleep(random.uniform(0, 20))
            while time.monotonic() < end:
                path = random.choice(_paths(recordings))
                begin = time.monotonic()
                assert (await client.get(path)).status_code == 200
                took.append(1000 * (time.monotonic() - begin))
                await asyncio.sleep(random.uniform(0, 20))  # somebody reads

        heavy = asyncio.create_task(client.get("/sql", params={"q": _HEAVY}))
        await asyncio.gather(*(read() for _ in range(readers)))
        answer = await heavy
    took.sort()
    print(
        f"{readers} readers beside a query that ended with {answer.status_code}: "
        f"{len(took)} pages, median {statistics.median(took):.0f} ms, 95th percentile "
        f"{took[int(0.95 * len(took))]:.0f} ms"
    )


def _memory(client: httpx.Client, process: psutil.Process, recordings: int, count: int) -> None:
    paths = ["/", "/static/pages.css", "/quality", "/rejected"]
    for done in range(count + 1):
        if done % (count // 4) == 0:
            print(f"memory after {done:6,} requests: {process.memory_info().rss / 1e6:.0f} MB")
        path = paths[done % len(paths)] if done % 50 else random.choice(_paths(recordings))
        assert client.get(path).status_code == 200


def main() -> None:
    """Make the lake, ask for the pages, print the times."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--recordings", type=int, default=1_000_000)
    parser.add_argument("--repeats", type=int, default=7)
    parser.add_argument("--readers", type=int, default=50)
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--requests", type=int, default=10_000)
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
        with server(uri) as (url, process), httpx.Client(base_url=url, timeout=120) as client:
            _one_reader(client, arguments.recordings, arguments.repeats)
            asyncio.run(
                _many_readers(url, arguments.recordings, arguments.readers, arguments.seconds)
            )
            _memory(client, process, arguments.recordings, arguments.requests)


if __name__ == "__main__":
    main()
