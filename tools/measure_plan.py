"""Time and memory of planning by the number of recordings.

Creates a lake of synthetic recordings, with rows written directly to its tables, and plans it
twice: for a model that has transcribed every recording, and for a model that has transcribed none.
Each step runs in a new process, so that its peak memory can be measured.

    python tools/measure_plan.py [--sources N] [--models N] [RECORDINGS …]
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import re
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

COLLECTION = "file:///archives/radio-0"
"""The archive that is planned."""
RECORDINGS = (100_000, 1_000_000)
COMMIT = 50_000
"""Rows per commit."""
RECORDINGS_PER_TAR = 1_000


RECORDING = """
  SELECT sha256(i::VARCHAR) AS recording_id, 3.0 + i % 271 / 10 AS duration_s, 'wav' AS container,
         'pcm_s16le' AS codec, 16000 AS sample_rate, 1 AS channels, 100000 + i AS size_bytes,
         NULL AS warning, 'measure' AS run_id, now() AS created_at
  FROM range($first, $last) AS t(i)"""

SOURCE = """
  SELECT 'file:///archives/radio-' || $copy AS collection,
         collection || format('/talks-{:05}.tar', i // $per_tar) AS archive,
         format('talks/{:08}.wav', i) AS member, sha256(i::VARCHAR) AS recording_id,
         i % $per_tar AS position, 100000 + i AS size_bytes, '1700000000' AS version,
         NULL AS language_hint, NULL AS metadata, 'measure' AS run_id, now() AS created_at
  FROM range($first, $last) AS t(i)"""

TRANSCRIPT = """
  SELECT sha256(i::VARCHAR) || '-' || $model AS transcript_id, sha256(i::VARCHAR) AS recording_id,
         sha256($model) AS model_id, 'transcribe' AS task, $options_key AS options_key,
         $model AS model, '{}' AS options, 'en' AS language, NULL AS language_probability,
         'This is what recording ' || i || ' says.' AS text, 3.0 + i % 271 / 10 AS duration_s,
         NULL AS avg_logprob, NULL AS temperature, 1 AS segment_count, 'batched' AS engine,
         'float32' AS precision, '{}' AS versions, (i // 1000)::VARCHAR AS batch_id,
         batch_id AS attempt_id, 'measure' AS run_id, now() AS created_at, NULL AS sequence
  FROM range($first, $last) AS t(i)"""


def make_lake(lake_uri: str, recordings: int, sources: int, models: int) -> None:
    """Create a lake with recordings of 3 to 30 s, transcribed by `model-0`, `model-1` …"""
    import duckdb

    from nightscribe.lake.opening import open_lake
    from nightscribe.lake.schema import SCHEMAS
    from nightscribe.whisper.options import Options

    lake = open_lake(lake_uri)
    key = Options().key
    tables: list[tuple[str, str, dict[str, object]]] = [
        ("recordings", RECORDING, {}),
        *(
            ("sources", SOURCE, {"copy": str(copy), "per_tar": RECORDINGS_PER_TAR})
            for copy in range(sources)
        ),
        *(
            ("transcripts", TRANSCRIPT, {"model": f"model-{model}", "options_key": key})
            for model in range(models)
        ),
    ]
    with duckdb.connect() as connection:
        for first in range(0, recordings, COMMIT):
            numbers = {"first": first, "last": min(first + COMMIT, recordings)}
            for table, query, parameters in tables:
                rows = connection.sql(query, params=parameters | numbers).to_arrow_table()
                lake.append(table, rows.select(SCHEMAS[table].names))


def _model_id(model: str) -> str:
    return hashlib.sha256(model.encode()).hexdigest()


def plan_once(lake_uri: str, model: str, collection: str = COLLECTION) -> dict[str, float]:
    """Plan all recordings of a collection for a model. Returns seconds, peak memory and counts."""
    from nightscribe.lake.opening import open_lake
    from nightscribe.stages.pending import Wanted
    from nightscribe.stages.plan import plan
    from nightscribe.whisper.options import Options

    started = time.monotonic()
    planned = plan(
        open_lake(lake_uri),
        Wanted(model, _model_id(model), ("transcribe",), Options(), (collection,)),
        folder=f"_plans/{model}-{time.time_ns()}",
        run_id="measure",
        batch_audio_s=12_000.0,
        max_batches=1_000,
    )
    return {
        "seconds": time.monotonic() - started,
        "cpu_s": time.process_time(),
        "peak_mb": peak_mb(),
        "pending": planned.transcripts,
        "done": planned.already_done,
        "batches": len(planned.specs),
    }


def peak_mb() -> float:
    """Peak resident memory of this process, in MB of 2**20 bytes.

    Reads it from /proc, since `ru_maxrss` of a new process starts with its parent's value.
    """
    [kilobytes] = re.findall(r"VmHWM:\s+(\d+) kB", Path("/proc/self/status").read_text())
    return int(kilobytes) / 1024


def in_own_process(step: str, *arguments: object, script: str = __file__) -> Any:
    """Run a step of a script, by default of this file, in a new process; returns its result."""
    command = [sys.executable, script, step, *map(str, arguments)]
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
    return json.loads(done.stdout)


def main(sizes: list[int], sources: int, models: int) -> None:
    """Measure and print a table."""
    print(f"{sources} sources of each recording, {models} models have transcribed them\n")
    print("| recordings | what          | pending | batches | seconds | CPU s | peak memory, MB |")
    print("| ---------: | ------------- | ------: | ------: | ------: | ----: | --------------: |")
    for recordings in sizes:
        with tempfile.TemporaryDirectory(prefix="nightscribe-measure-") as folder:
            in_own_process("--make", folder, recordings, sources, models)
            for what, model in (("nothing to do", "model-0"), ("all pending", "new-model")):
                row = in_own_process("--plan", folder, model)
                print(
                    f"| {recordings:10} | {what:13} | {row['pending']:7} | {row['batches']:7} "
                    f"| {row['seconds']:7.2f} | {row['cpu_s']:5.2f} | {row['peak_mb']:15.0f} |",
                    flush=True,
                )


if __name__ == "__main__":
    # A reader such as `head` that goes away ends it, as it ends other programs.
    signal.signal(signal.SIGPIPE, signal.SIG_DFL)
    if sys.argv[1:2] == ["--make"]:
        make_lake(sys.argv[2], *map(int, sys.argv[3:6]))
        print("null", flush=True)
        os._exit(0)  # for why, see `nightscribe.cli.command`
    elif sys.argv[1:2] == ["--plan"]:
        print(json.dumps(plan_once(*sys.argv[2:4])), flush=True)
        os._exit(0)
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "recordings", nargs="*", type=int, default=list(RECORDINGS), help="numbers of recordings"
    )
    parser.add_argument("--sources", type=int, default=1, help="sources of each recording")
    parser.add_argument("--models", type=int, default=2, help="models with transcripts of all")
    given = parser.parse_args()
    main(given.recordings, given.sources, given.models)
