"""Run one engine in another process and measure its time, memory and use of the device."""

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
    """Time and memory of a run. `wall_s` excludes loading the model and warming up."""

    engine: str
    wall_s: float
    loading_s: float
    peak_memory: int  # resident bytes of the process and its children
    peak_device_memory: int | None  # bytes in use on the device, less those in use before the start
    device_busy: float | None  # share of the time in which a kernel ran
    texts: list[Text]


class EngineFailed(Exception):
    """An engine gave no result; the message has the reason."""


def measure(
    engine: str, setup: Setup, recordings: Sequence[str], warm_up: Sequence[str]
) -> Measured:
    """Run an engine over recordings, after a warm-up.

    Raises:
        EngineFailed: the process ended early; the message has the last line of its output.
    """
    task = {
        "engine": engine,
        "setup": asdict(setup),
        "recordings": list(recordings),
        "warm_up": list(warm_up),
    }
    on_device = setup.device == "cuda"
    before = device_state().memory if on_device else 0
    with tempfile.TemporaryFile("w+") as errors:
        process = subprocess.Popen(
            [sys.executable, "-m", "benchmarks.worker"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=errors,
            text=True,
            env=environment(setup.threads),
        )
        assert process.stdin
        assert process.stdout
        try:
            process.stdin.write(json.dumps(task))
            process.stdin.close()
            ready = _answer(process.stdout.readline())
            with ResourceMonitor(process.pid, on_device) as monitor:
                done = _answer(process.stdout.readline())
            status = process.wait()
        finally:
            process.kill()
        if not ready or not done:
            errors.seek(0)
            lines = [line.strip() for line in errors if line.strip()]
            reason = lines[-1] if lines else "without output"
            raise EngineFailed(f"ended with status {status}: {reason}")
    return Measured(
        engine=engine,
        wall_s=done["wall_s"],
        loading_s=ready["loading_s"],
        peak_memory=monitor.peak,
        peak_device_memory=monitor.peak_on_device - before if on_device else None,
        device_busy=statistics.fmean(monitor.busy) if monitor.busy else None,
        texts=[Text(**text) for text in done["texts"]],
    )


def environment(threads: int) -> dict[str, str]:
    """Environment of a process that imports this repository and computes with `threads` threads."""
    paths = [str(_ROOT), str(_ROOT / "plugins"), os.environ.get("PYTHONPATH", "")]
    return {
        **os.environ,
        "OMP_NUM_THREADS": str(threads),
        "HF_HUB_OFFLINE": "1",  # everything needed is local
        "TOKENIZERS_PARALLELISM": "false",
        "PYTHONPATH": os.pathsep.join(path for path in paths if path),
    }


def _answer(line: str) -> dict[str, Any]:
    """A message of the worker; empty if it ended without one."""
    answer: dict[str, Any] = json.loads(line) if line else {}
    return answer


@dataclass(frozen=True)
class DeviceState:
    """Use of the first CUDA device by all processes, as its driver reports it."""

    memory: int  # bytes in use
    busy: float | None  # share of the last sample period in which a kernel ran, if reported


def device_state() -> DeviceState:
    """Query the driver with nvidia-smi."""
    query = "--query-gpu=memory.used,utilization.gpu"
    command = ["nvidia-smi", query, "--format=csv,noheader,nounits", "--id=0"]
    memory, busy = subprocess.check_output(command, text=True).split(",")
    # For a part of a card (MIG), and for some virtual cards, the load is "[N/A]".
    reported = busy.strip().isdecimal()
    return DeviceState(int(memory) << 20, int(busy) / 100 if reported else None)


class ResourceMonitor:
    """Samples the memory of a process, and memory and load of the device, in threads.

    Attributes:
        peak: resident bytes of the process and its children
        peak_on_device: bytes in use on the device
        busy: samples of the device's load, 0 to 1
    """

    def __init__(self, pid: int, on_device: bool) -> None:
        self.peak = 0
        self.peak_on_device = 0
        self.busy: list[float] = []
        self._process = psutil.Process(pid)
        self._stopped = threading.Event()
        samplers = [(self._sample_process, _EVERY_S)]
        if on_device:
            samplers.append((self._sample_device, _EVERY_ON_DEVICE_S))
        self._threads = [threading.Thread(target=self._repeat, args=each) for each in samplers]

    def __enter__(self) -> ResourceMonitor:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stopped.set()
        for thread in self._threads:
            thread.join()

    def _repeat(self, sample: Any, every_s: float) -> None:
        sample()
        while not self._stopped.wait(every_s):
            sample()

    def _sample_process(self) -> None:
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

    def _sample_device(self) -> None:
        state = device_state()
        self.peak_on_device = max(self.peak_on_device, state.memory)
        if state.busy is not None:
            self.busy.append(state.busy)
