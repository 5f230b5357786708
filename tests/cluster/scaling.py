"""How a night becomes shorter with more workers, with an engine of fixed speed that computes nothing.

    python -m tests.cluster.scaling [--workers 1 2 4 8 16] [--minutes 5]

For each number of workers, a cluster is started and a night with that many times as many recordings:
each worker has so many minutes of work. So every night would take equally long if workers were
independent of each other. Prints what the workers did with their time.
"""

from __future__ import annotations

import argparse
import os
import shutil
import signal
import statistics
import sys
import tempfile
import time
from datetime import datetime
from pathlib import Path
from typing import Any

import psutil

from nightscribe.lake.opening import open_lake
from nightscribe.lake.reading import read
from nightscribe.text_tables import markdown_table
from tests.cluster import container
from tests.cluster.cluster import NIGHTLY, Cluster
from tests.nights import write_noise

RTFX = 0.1
"""Seconds of audio a second of the stand-in's: so slow that archives are small."""
RECORDING_S = 0.5
PATIENCE_S = 3600


def main() -> int:
    """Run the nights; returns the exit code."""
    parser = argparse.ArgumentParser(prog="python -m tests.cluster.scaling", description=__doc__)
    parser.add_argument("--workers", type=int, nargs="+", default=[1, 2, 4, 8, 16])
    parser.add_argument("--minutes", type=float, default=5.0, help="of work for each worker")
    given = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that all processes are ended
    if why := container.missing():
        print(f"error: {why}", file=sys.stderr)
        return 2
    rows = []
    for workers in given.workers:
        folder = Path(tempfile.mkdtemp(prefix="nightscribe-cluster-"))
        try:
            rows.append(_measured(folder, workers, given.minutes))
        finally:
            shutil.rmtree(folder)
        print(rows[-1], flush=True)
    print(f"\n{given.minutes:g} minutes of work for each worker\n")
    print(markdown_table([*rows[0]], [list(row.values()) for row in rows]))
    return 0


def _measured(folder: Path, workers: int, minutes: float) -> dict[str, str]:
    folder.chmod(0o755)  # for the user of Postgres
    archive = folder / "archive"
    for number in range(round(workers * minutes * 60 * RTFX / RECORDING_S)):
        write_noise(archive / f"{number % 100}" / f"{number}.wav", number, RECORDING_S)
    names = {f"worker-{number}": "gpu-worker" for number in range(workers)}
    beginning = Path(__file__).with_name("at_start")
    one = {name: {"STAND_IN_RTFX": str(RTFX), "BEFORE": str(beginning)} for name in names}
    more = {"NIGHTSCRIBE_EXPECTED_RTFX": str(RTFX), "NIGHTSCRIBE_LANGUAGE": "en"}
    lake = str(folder / "lake")
    with Cluster(
        folder / "cluster",
        lake,
        str(archive),
        more,
        workers={**names, "cpu-worker": "cpu-worker"},
        one=one,
        slots=workers,
        queues="default",
    ) as cluster:
        cluster.wait_for_dag(NIGHTLY)
        cluster.unpause(NIGHTLY)
        _wait_for_calm()
        busy = _cpu_seconds()
        begun = time.monotonic()
        run_id = cluster.trigger(NIGHTLY)
        state = cluster.wait_for_run(NIGHTLY, run_id, PATIENCE_S)
        night_s = time.monotonic() - begun
        busy = _cpu_seconds() - busy
        tasks = cluster.tasks(NIGHTLY, run_id)
    if state != "success":
        raise RuntimeError(f"the night of {workers} workers failed")
    batches = [task for task in tasks if task["task_id"] == "transcribe"]
    begins, ends, queued = (
        [_time(task[name]) for task in batches] for name in ("start_date", "end_date", "queued_when")
    )
    engine_s = sum(read(open_lake(lake), "SELECT wall_s FROM batches")["wall_s"].to_pylist())
    span_s = max(ends) - min(begins)
    task_s = sum(end - begin for begin, end in zip(begins, ends, strict=True))
    return {
        "workers": str(workers),
        "batches": str(len(batches)),
        "night, s": f"{night_s:.0f}",
        "from the first batch to the last, s": f"{span_s:.0f}",
        "engines at work": f"{engine_s / (workers * span_s):.1%}",
        "a batch besides, s": f"{(task_s - engine_s) / len(batches):.1f}",
        "a batch queued, s": f"{statistics.median(b - q for b, q in zip(begins, queued, strict=True)):.1f}",
        "cores at work": f"{busy / night_s:.2f} of {os.cpu_count()}",
    }
