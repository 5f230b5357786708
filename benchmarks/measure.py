"""One run of one engine, in a process of its own, watched from here."""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import tempfile
import threading
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import psutil

from benchmarks.engines import Setup, Text

_ROOT = Path(__file__).parent.parent
_EVERY_S = 0.1
_EVERY_ON_DEVICE_S = 0.5


@dataclass(frozen=True)
class Measured:
    """What a run took. Loading the model and warming up lie outside `wall_s`."""

    engine: str
    wall_s: float
    loading_s: float
    peak_memory: int  # bytes that are resident, of the process and those it started
    peak_device_memory: int | None  # bytes in use on the device, less those before the start
    device_busy: float | None  # share of the time in which it computed anything at all
    texts: list[Text]


class Failed(Exception):
    """An engine that came to no result; says why."""


def measure(
    engine: str, setup: Setup, recordings: Sequence[str], warm_up: Sequence[str]
) -> Measured:
    """Run an engine over the recordings. Raises `Failed` with the last line of its complaint."""
    task = {
        "engine": engine,
        "setup": asdict(setup),
        "recordings": list(recordings),
        "warm_up": list(warm_up),
    }
    on_device = setup.device == "cuda"
    before = device_state().memory if on_device else 0
    with tempfile.TemporaryFile("w+") as complaints:
        process = subprocess.Popen(
            [sys.executable, "-m", "benchmarks.worker"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=complaints,
            text=True,
            env=environment(setup.threads),
        )
        assert process.stdin
        assert process.stdout
        try:
            process.stdin.write(json.dumps(task))
            process.stdin.close()
            ready = _answer(process.stdout.readline())
            with Watch(process.pid, on_device) as watch:
                done = _answer(process.stdout.readline())
            status = process.wait()
        finally:
            process.kill()
        if not ready or not done:
            complaints.seek(0)
            lines = [line.strip() for line in complaints if line.strip()]
            reason = lines[-1] if lines else "it said nothing"
            raise Failed(f"ended with status {status}: {reason}")
    return Measured(
        engine=engine,
        wall_s=done["wall_s"],
        loading_s=ready["loading_s"],
        peak_memory=watch.peak,
        peak_device_memory=watch.peak_on_device - before if on_device else None,
        device_busy=statistics.fmean(watch.busy) if watch.busy else None,
        texts=[Text(**text) for text in done["texts"]],
    )


def environment(threads: int) -> dict[str, str]:
    """Of a process that imports what lies here, and computes with so many threads."""
    paths = [str(_ROOT), str(_ROOT / "plugins"), os.environ.get("PYTHONPATH", "")]
    return {
        **os.environ,
        "OMP_NUM_THREADS": str(threads),
        "HF_HUB_OFFLINE": "1",  # all that is needed is here
        "TOKENIZERS_PARALLELISM": "false",
        "PYTHONPATH": os.pathsep.join(path for path in paths if path),
    }


def _answer(line: str) -> dict[str, Any]:
    """An answer of the worker; empty where it ended without one."""
    answer: dict[str, Any] = json.loads(line) if line else {}
    return answer


@dataclass(frozen=True)
class DeviceState:
    """What the driver says of the first CUDA device, whoever uses it."""

    memory: int  # bytes in use
    busy: float | None  # share of the last moment in which a kernel ran, where it is told


def device_state() -> DeviceState:
    """Ask the driver."""
    query = "--query-gpu=memory.used,utilization.gpu"
    command = ["nvidia-smi", query, "--format=csv,noheader,nounits", "--id=0"]
    memory, busy = subprocess.check_output(command, text=True).split(",")
    # Of a part of a card (MIG), and by some virtual ones, the load is not told: "[N/A]".
    told = busy.strip().isdecimal()
    return DeviceState(int(memory) << 20, int(busy) / 100 if told else None)


class Watch:
    """Looks at a process's memory, and at the device's, again and again."""

    def __init__(self, pid: int, on_device: bool) -> None:
        self.peak = 0
        self.peak_on_device = 0
        self.busy: list[float] = []
        self._process = psutil.Process(pid)
        self._over = threading.Event()
        watched = [(self._look, _EVERY_S)]
        if on_device:
            watched.append((self._look_at_device, _EVERY_ON_DEVICE_S))
        self._threads = [threading.Thread(target=self._repeat, args=each) for each in watched]

    def __enter__(self) -> Watch:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        for thread in self._threads:
            thread.join()

    def _repeat(self, look: Any, every_s: float) -> None:
        look()
        while not self._over.wait(every_s):
            look()

    def _look(self) -> None:
        total = 0
        try:
            processes = [self._process, *self._process.children(recursive=True)]
        except psutil.NoSuchProcess:
            return
        for process in processes:
            try:
                total += process.memory_info().rss
            except psutil.NoSuchProcess:
                continue
        self.peak = max(self.peak, total)

    def _look_at_device(self) -> None:
        state = device_state()
        self.peak_on_device = max(self.peak_on_device, state.memory)
        if state.busy is not None:
            self.busy.append(state.busy)
