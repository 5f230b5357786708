"""How long planning takes and how much memory it needs, by the number of recordings.

Makes a lake of synthetic recordings, with rows written straight to its tables, and plans it
twice: once for a model that has transcribed every recording, once for a model that has
transcribed none. Each step runs in a process of its own, so its peak memory is its own.

    python tools/measure_plan.py [--sources N] [--models N] [RECORDINGS …]
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

RECORDINGS = (100_000, 1_000_000)
COMMIT = 50_000
"""Rows of a table that are written at a time."""
OF_AN_ARCHIVE = 1_000
"""Recordings that lie in the same tar."""


def make_lake(lake_uri: str, recordings: int, sources: int, models: int) -> None:
    """A lake of so many recordings of 3 to 30 s, transcribed by `model-0` … in one task."""
    from nightscribe.lake.store import open_lake

    lake = open_lake(lake_uri)
    for start in range(0, recordings, COMMIT):
        numbers = range(start, min(start + COMMIT, recordings))
        lake.append("recordings", _rows("recordings", map(_recording, numbers)))
        for copy in range(sources):
            lake.append("sources", _rows("sources", (_source(one, copy) for one in numbers)))
        for model in range(models):
            rows = (_transcript(number, f"model-{model}") for number in numbers)
            lake.append("transcripts", _rows("transcripts", rows))


def _rows(table: str, rows: Iterator[dict[str, Any]]) -> Any:
    from nightscribe.lake.rows import rows_of

    return rows_of(table, rows, "measure")


def _recording(number: int) -> dict[str, Any]:
    return {
        "recording_id": hashlib.sha256(b"%d" % number).hexdigest(),
        "duration_s": 3.0 + number % 271 / 10,
        "container": "wav",
        "codec": "pcm_s16le",
        "sample_rate": 16_000,
        "channels": 1,
        "size_bytes": 100_000 + number,
    }


def _source(number: int, copy: int) -> dict[str, Any]:
    collection = f"file:///archives/radio-{copy}"
    return {
        "archive": f"{collection}/talks-{number // OF_AN_ARCHIVE:05}.tar",
        "member": f"talks/{number:08}.wav",
        "recording_id": _recording(number)["recording_id"],
        "collection": collection,
        "position": number % OF_AN_ARCHIVE,
        "size_bytes": 100_000 + number,
        "version": "1700000000",
    }


def _transcript(number: int, model: str) -> dict[str, Any]:
    from nightscribe.whisper.options import Options

    recording = _recording(number)
    return {
        "transcript_id": f"{recording['recording_id']}-{model}",
        "recording_id": recording["recording_id"],
        "model_id": _model_id(model),
        "task": "transcribe",
        "options_key": Options().key,
        "model": model,
        "options": Options().to_json(),
        "language": "en",
        "text": f"This is what recording {number} says.",
        "duration_s": recording["duration_s"],
        "segment_count": 1,
        "engine": "batched",
        "precision": "float32",
        "versions": "{}",
        "batch_id": f"{number // OF_AN_ARCHIVE}",
        "attempt_id": f"{number // OF_AN_ARCHIVE}",
    }


def _model_id(model: str) -> str:
    return hashlib.sha256(model.encode()).hexdigest()


def plan_once(lake_uri: str, model: str) -> dict[str, float]:
    """Plan all recordings for a model; seconds, peak memory and counts."""
    from nightscribe.lake.store import open_lake
    from nightscribe.planning import Wanted, plan
    from nightscribe.whisper.options import Options

    started = time.monotonic()
    made = plan(
        open_lake(lake_uri),
        Wanted(model, _model_id(model), ("transcribe",), Options()),
        folder=f"_plans/{model}-{time.time_ns()}",
        run_id="measure",
        batch_audio_s=12_000.0,
        max_batches=1_000,
    )
    return {
        "seconds": time.monotonic() - started,
        "cpu_s": time.process_time(),
        "peak_mb": peak_mb(),
        "pending": made.transcripts,
        "done": made.already_done,
        "batches": len(made.specs),
    }


def peak_mb() -> float:
    """Most memory of this process that was resident, in MB of 2**20 bytes.

    Linux's own count: `ru_maxrss` of a process that was just started is its parent's.
    """
    [kilobytes] = re.findall(r"VmHWM:\s+(\d+) kB", Path("/proc/self/status").read_text())
    return int(kilobytes) / 1024


def in_own_process(step: str, *arguments: object) -> Any:
    """Run a step of this file in a new process; what it returns."""
    command = [sys.executable, __file__, step, *map(str, arguments)]
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
    return json.loads(done.stdout)


def main(sizes: list[int], sources: int, models: int) -> None:
    """Print a table."""
    print(f"{sources} sources of each recording, {models} models have transcribed them\n")
    print("| recordings | what          | pending | batches | seconds | peak memory, MB |")
    print("| ---------: | ------------- | ------: | ------: | ------: | --------------: |")
    for recordings in sizes:
        with tempfile.TemporaryDirectory(prefix="nightscribe-measure-") as folder:
            in_own_process("--make", folder, recordings, sources, models)
            for what, model in (("nothing to do", "model-0"), ("all pending", "new-model")):
                row = in_own_process("--plan", folder, model)
                print(
                    f"| {recordings:10} | {what:13} | {row['pending']:7} | {row['batches']:7} "
                    f"| {row['seconds']:7.2f} | {row['peak_mb']:15.0f} |",
                    flush=True,
                )


if __name__ == "__main__":
    if sys.argv[1:2] == ["--make"]:
        make_lake(sys.argv[2], *map(int, sys.argv[3:6]))
        print("null", flush=True)
        os._exit(0)  # for why, see `nightscribe.cli.command`
    elif sys.argv[1:2] == ["--plan"]:
        print(json.dumps(plan_once(*sys.argv[2:4])), flush=True)
        os._exit(0)
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("recordings", nargs="*", type=int, default=list(RECORDINGS))
    parser.add_argument("--sources", type=int, default=1, help="of each recording")
    parser.add_argument("--models", type=int, default=2, help="that have transcribed everything")
    given = parser.parse_args()
    main(given.recordings, given.sources, given.models)
