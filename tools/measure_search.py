"""Time, size and memory of the search index by the number of segments.

Creates a lake of synthetic segments, with rows written directly to its tables: 12 words each, drawn
from a vocabulary of 200,000 by Zipf's law. Builds the index, and again after one night with 1 %
more; then searches. Each step runs in a process of its own, so that its memory can be measured.

    python tools/measure_search.py [--folder DIR] [SEGMENTS …]
"""

from __future__ import annotations

import argparse
import json
import os
import re
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

SEGMENTS = (1_000_000,)
COMMIT = 200_000
"""Segments per commit."""
PER_TRANSCRIPT = 100
WORDS = 12
VOCABULARY = 200_000
TIMES = 20
"""Searches for each query, of which the median and the slowest are shown."""

SEGMENT = """
  SELECT sha256((i // $per)::VARCHAR) || '-t' AS transcript_id,
         sha256((i // $per)::VARCHAR) AS recording_id, (i % $per)::INTEGER AS index,
         (i % $per * 400)::BIGINT AS seek, i % $per * 4.0 AS start_s, i % $per * 4.0 + 4 AS end_s,
         text, [1, 2, 3]::INTEGER[] AS tokens, 0.0 AS temperature, -0.3 AS avg_logprob,
         1.5 AS compression_ratio, 0.01 AS no_speech_prob, NULL AS words
  FROM texts"""

TRANSCRIPT = """
  SELECT sha256(i::VARCHAR) || '-t' AS transcript_id, sha256(i::VARCHAR) AS recording_id,
         'm' AS model_id, 'transcribe' AS task, 'o' AS options_key, 'large-v3' AS model,
         '{}' AS options, ['en', 'de', 'fr', 'es'][1 + i % 4] AS language,
         NULL AS language_probability, 'text' AS text, 400.0 AS duration_s, NULL AS avg_logprob,
         NULL AS temperature, $per AS segment_count, 'batched' AS engine, 'float32' AS precision,
         '{}' AS versions, 'b' AS batch_id, 'a' AS attempt_id, 'measure' AS run_id,
         TIMESTAMPTZ '2026-01-01 00:00:00+00' + to_seconds(i) AS created_at,
         NULL AS sequence
  FROM range($first, $last) AS t(i)"""

SOURCE = """
  SELECT 'file:///archives/radio' AS archive, format('{:08}.wav', i) AS member,
         sha256(i::VARCHAR) AS recording_id, 'file:///archives/radio' AS collection, i AS position,
         1000 AS size_bytes, '1' AS version, NULL AS language_hint, NULL AS metadata,
         'measure' AS run_id, now() AS created_at
  FROM range($first, $last) AS t(i)"""


def word(rank: int) -> str:
    """The word with this rank; frequent ones are short.

    >>> word(0), word(25), word(26)
    ('a', 'z', 'aa')
    """
    letters = ""
    while rank >= 0:
        letters = chr(97 + rank % 26) + letters
        rank = rank // 26 - 1
    return letters


def append(lake_uri: str, first: int, last: int) -> None:
    """Add segments to a lake."""
    import duckdb
    import numpy
    import pyarrow as pa

    from nightscribe.lake.opening import open_lake
    from nightscribe.lake.schema import SCHEMAS

    lake = open_lake(lake_uri)
    vocabulary = numpy.array([word(rank) for rank in range(VOCABULARY)], dtype=object)
    shares = 1 / numpy.arange(1, VOCABULARY + 1)
    steps = numpy.cumsum(shares / shares.sum())
    random = numpy.random.default_rng(first)
    for start in range(first, last, COMMIT):
        stop = min(start + COMMIT, last)
        ranks = numpy.searchsorted(steps, random.random((stop - start, WORDS)))
        texts = [" " + " ".join(row) for row in vocabulary[ranks.clip(max=VOCABULARY - 1)]]
        with duckdb.connect() as connection:
            connection.register("texts", pa.table({"i": range(start, stop), "text": texts}))
            numbers = {"first": start // PER_TRANSCRIPT, "last": stop // PER_TRANSCRIPT}
            for table, query, parameters in (
                ("sources", SOURCE, numbers),
                ("transcripts", TRANSCRIPT, numbers | {"per": PER_TRANSCRIPT}),
                ("segments", SEGMENT, {"per": PER_TRANSCRIPT}),
            ):
                rows = connection.sql(query, params=parameters).to_arrow_table()
                lake.append(table, rows.select(SCHEMAS[table].names))


def build_once(lake_uri: str, folder: str) -> dict[str, float]:
    """Build the index. Returns seconds, memory and size."""
    from nightscribe.lake.opening import open_lake
    from nightscribe.search.building import build

    started = time.monotonic()
    built = build(open_lake(lake_uri), Path(folder))
    return {
        "seconds": time.monotonic() - started,
        "peak_mb": peak_mb(),
        "size_mb": sum(file.stat().st_size for file in files(folder)) / 1e6,
        "added": built.added,
    }


def files(folder: str) -> Iterator[Path]:
    """All files of a folder."""
    return (path for path in Path(folder).rglob("*") if path.is_file())


def search_all(folder: str) -> list[dict[str, Any]]:
    """Search for words, phrases and prefixes. Returns hits and milliseconds."""
    from nightscribe.search.reading import SearchIndex

    index = SearchIndex(lambda: Path(folder))
    common, rare = word(0), word(VOCABULARY - 1000)
    queries = {
        "rare word": rare,
        "word of rank 1,000": word(1000),
        "the most common word": common,
        "two common words": f"{word(0)} {word(1)}",
        "phrase of common words": f'"{word(0)} {word(1)}"',
        "phrase of three common words": f'"{word(0)} {word(1)} {word(2)}"',
        "phrase of rarer words": f'"{word(300)} {word(400)}"',
        "prefix of one letter": "q*",
        "prefix of three letters": "qab*",
        "phrase with a prefix": f'"{word(0)} qa*"',
    }
    rows = []
    for what, query in queries.items():
        found = index.search(query)
        times = []
        for _ in range(TIMES):
            started = time.perf_counter()
            index.search(query)
            times.append(1000 * (time.perf_counter() - started))
        rows.append(
            {
                "what": what,
                "hits": found.count,
                "median_ms": statistics.median(times),
                "slowest_ms": max(times),
            }
        )
    return rows


def peak_mb() -> float:
    """Peak resident memory of this process, in MB of 2**20 bytes, from /proc."""
    [kilobytes] = re.findall(r"VmHWM:\s+(\d+) kB", Path("/proc/self/status").read_text())
    return int(kilobytes) / 1024


def in_own_process(step: str, *arguments: object) -> Any:
    """Run a step of this file in a new process; returns its result."""
    command = [sys.executable, __file__, step, *map(str, arguments)]
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
    return json.loads(done.stdout)


def main(sizes: list[int], parent: str | None) -> None:
    """Measure and print two tables for each size."""
    for segments in sizes:
        with tempfile.TemporaryDirectory(prefix="nightscribe-measure-", dir=parent) as folder:
            lake, index = f"{folder}/lake", f"{folder}/index"
            print(f"{segments:,} segments of {WORDS} words\n")
            print("| build | segments added | seconds | peak memory, MB | index, MB |")
            print("| --- | --: | --: | --: | --: |")
            more = max(PER_TRANSCRIPT, segments // 100 // PER_TRANSCRIPT * PER_TRANSCRIPT)
            for what, first, last in (
                ("anew", 0, segments),
                ("a night later", segments, segments + more),
                ("nothing new", 0, 0),
            ):
                in_own_process("--append", lake, first, last)
                row = in_own_process("--build", lake, index)
                print(
                    f"| {what} | {row['added']:,} | {row['seconds']:.1f} | {row['peak_mb']:.0f} "
                    f"| {row['size_mb']:.0f} |",
                    flush=True,
                )
            print("\n| query | hits | median, ms | slowest, ms |\n| --- | --: | --: | --: |")
            for row in in_own_process("--search", index):
                print(
                    f"| {row['what']} | {row['hits']:,} | {row['median_ms']:.1f} "
                    f"| {row['slowest_ms']:.1f} |"
                )
            print()


if __name__ == "__main__":
    # A reader such as `head` that goes away ends it, as it ends other programs.
    signal.signal(signal.SIGPIPE, signal.SIG_DFL)
    step, rest = sys.argv[1:2], sys.argv[2:]
    if step == ["--append"]:
        append(rest[0], *map(int, rest[1:3]))
        print("null", flush=True)
        os._exit(0)  # for why, see `nightscribe.cli.command`
    elif step == ["--build"]:
        print(json.dumps(build_once(*rest[:2])), flush=True)
        os._exit(0)
    elif step == ["--search"]:
        print(json.dumps(search_all(rest[0])), flush=True)
        os._exit(0)
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("segments", nargs="*", type=int, default=list(SEGMENTS))
    parser.add_argument("--folder", help="where the lake and the index are made")
    given = parser.parse_args()
    main(given.segments, given.folder)
