"""How much faster a night is with more workers, with an engine of fixed speed.

    python -m tests.cluster.scaling [--workers 1 2 4 8 16] [--minutes 5]

The engine computes nothing, so that many workers fit on one machine. For each number of workers, a
cluster is started, and a night with so many times as many recordings: each worker has so many
minutes of work, so that every night would take equally long if workers did not wait for each other.
Prints what they did with their time.
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

import psutil

from nightscribe.lake.opening import open_lake
from nightscribe.lake.reading import read
from nightscribe.text_tables import markdown_table
from tests.cluster import container
from tests.cluster.cluster import NIGHTLY, Cluster
from tests.cluster.services import WITH_CHANGES
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
    gpu_workers = {f"worker-{number}": "gpu-worker" for number in range(workers)}
    stand_in = {**WITH_CHANGES, "STAND_IN_RTFX": str(RTFX)}
    lake = str(folder / "lake")
    with Cluster(
        folder / "cluster",
        lake,
        str(archive),
        {"NIGHTSCRIBE_EXPECTED_RTFX": str(RTFX), "NIGHTSCRIBE_LANGUAGE": "en"},
        one=dict.fromkeys(gpu_workers, stand_in),
        workers={**gpu_workers, "cpu-worker": "cpu-worker"},
        GPU_SLOTS=str(workers),
        CPU_WORKER_QUEUES="default",
    ) as cluster:
        cluster.wait_for_dag(NIGHTLY)
        cluster.unpause(NIGHTLY)
        for container in cluster.workers.values():
            container.wait_until_healthy(300)
        busy_s = _busy_s()
        begun = time.monotonic()
        run_id = cluster.trigger(NIGHTLY)
        state = cluster.wait_for_run(NIGHTLY, run_id, PATIENCE_S)
        night_s = time.monotonic() - begun
        busy_s = _busy_s() - busy_s
        tasks = cluster.tasks(NIGHTLY, run_id)
    if state != "success":
        raise RuntimeError(f"the night of {workers} workers failed")
    batches = [task for task in tasks if task["task_id"] == "transcribe"]
    times = ("queued_when", "start_date", "end_date")
    queued, begins, ends = (
        [datetime.fromisoformat(task[name]).timestamp() for task in batches] for name in times
    )
    waits = [begin - since for begin, since in zip(begins, queued, strict=True)]
    engine_s = sum(read(open_lake(lake), "SELECT wall_s FROM batches")["wall_s"].to_pylist())
    span_s = max(ends) - min(begins)
    task_s = sum(end - begin for begin, end in zip(begins, ends, strict=True))
    return {
        "workers": str(workers),
        "batches": str(len(batches)),
        "night, s": f"{night_s:.0f}",
        "from the first batch to the last, s": f"{span_s:.0f}",
        "engines at work": f"{engine_s / (workers * span_s):.1%}",
        "of the whole night": f"{engine_s / (workers * night_s):.1%}",
        "a batch besides, s": f"{(task_s - engine_s) / len(batches):.1f}",
        "a batch waits, s": f"{statistics.median(waits):.1f}",
        "cores busy": f"{busy_s / night_s:.2f} of {os.cpu_count()}",
    }


def _busy_s() -> float:
    """Seconds that the machine's cores have computed since it was started."""
    times = psutil.cpu_times()
    return float(times.user + times.nice + times.system)


if __name__ == "__main__":
    sys.exit(main())
