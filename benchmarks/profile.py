"""Where the engine's time goes: its own methods, timed from outside.

Each stage counts the time in its methods less that in the stages they call; what no stage counts
is the host's: control flow, scheduling, tokens to text. On CUDA the device is waited for at every
boundary, or its work would be counted where its outcome is first looked at: the shares hold, the
sum is longer than a run's that nobody watches.
"""

from __future__ import annotations

import pkgutil
import resource
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any
from unittest.mock import patch

import torch

from benchmarks.engines import Setup, load
from benchmarks.table import table

STAGES = {
    "wait for audio": ("audio.workers.Workers.submit", "audio.workers.Workers.finished"),
    "mel": ("sound.Sound.__init__", "sound.Sound.window", "sound.Sound.opening"),
    "encode": ("network.Network.encode",),
    "detect language": ("batched.BatchedEngine._languages",),
    "read prompts": ("network.Network.hear", "network.Network.read"),
    "decode steps": ("network.Network.next",),
    "logit rules": ("lane.restrict",),
    "choose tokens": ("lane.Lane._choose",),
    "admit and move slots": ("lane.Lane.admit", "lane.Lane._close_gaps"),
}
"""Stages and what belongs to them: in `nightscribe.audio`, or else in `nightscribe.whisper`."""

HOST = "host"


@dataclass
class Spent:
    """Time in a stage, in seconds, and how often it was entered."""

    seconds: float = 0.0
    calls: int = 0


@dataclass(frozen=True)
class Profile:
    """A run's time by stage, and how full its batches were."""

    wall_s: float
    stages: dict[str, Spent]
    decoders_s: float  # processor time of the processes that decode audio, beside all the rest
    rows: int  # tokens computed, over all decode steps
    windows: int  # encoded

    def __str__(self) -> str:
        lines = []
        for name, spent in self.stages.items():
            shares = [f"{100 * spent.seconds / self.wall_s:.1f} %", f"{spent.seconds:.2f} s"]
            each = f"{1000 * spent.seconds / spent.calls:.2f} ms" if spent.calls else ""
            lines.append([name, *shares, str(spent.calls or ""), each])
        lines.append(["all", "100.0 %", f"{self.wall_s:.2f} s", "", ""])
        steps, batches = self.stages["decode steps"].calls, self.stages["encode"].calls
        return "\n".join(
            [
                table(["stage", "share", "time", "calls", "a call"], lines),
                "",
                f"{self.rows} tokens in {steps} steps: {self.rows / max(steps, 1):.1f} a step.",
                f"{self.windows} windows in {batches} batches of the encoder.",
                f"Decoding audio took {self.decoders_s:.2f} s of other processes' time meanwhile.",
            ]
        )


def profile(engine: str, setup: Setup, paths: Sequence[str], warm_up: Sequence[str]) -> Profile:
    """Run one of our engines over the recordings with all stages timed."""
    torch.set_num_threads(setup.threads)
    run = load(engine, setup)
    list(run(warm_up))
    clock = _Clock(setup.device == "cuda")
    children = resource.getrusage(resource.RUSAGE_CHILDREN)
    with _timed(clock):
        list(run(paths))
    wall_s = clock.close()
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return Profile(
        wall_s=wall_s,
        stages=clock.spent,
        decoders_s=after.ru_utime + after.ru_stime - children.ru_utime - children.ru_stime,
        rows=clock.rows,
        windows=clock.windows,
    )


class _Clock:
    """Gives the time that passes to the stage that was entered last and not left."""

    def __init__(self, on_device: bool) -> None:
        self.spent = {name: Spent() for name in (*STAGES, HOST)}
        self.rows = 0
        self.windows = 0
        self._open = [HOST]
        self._on_device = on_device
        self._started = self._last = self._now()

    def enter(self, stage: str) -> None:
        self._turn()
        self._open.append(stage)
        self.spent[stage].calls += 1

    def leave(self) -> None:
        self._turn()
        self._open.pop()

    def close(self) -> float:
        """The whole time until now, in seconds."""
        self._turn()
        return self._last - self._started

    def _turn(self) -> None:
        now = self._now()
        self.spent[self._open[-1]].seconds += now - self._last
        self._last = now

    def _now(self) -> float:
        if self._on_device:
            torch.cuda.synchronize()
        return time.perf_counter()


@contextmanager
def _timed(clock: _Clock) -> Iterator[None]:
    """Let every method of the stages tell the clock, as long as the context lasts."""
    patches = [
        patch.object(owner, name, _watched(getattr(owner, name), stage, name, clock))
        for stage, places in STAGES.items()
        for owner, name in map(found, places)
    ]
    for one in patches:
        one.start()
    try:
        yield
    finally:
        for one in patches:
            one.stop()


def found(place: str) -> tuple[Any, str]:
    """Module or class that holds a method, and the method's name in it."""
    package = "nightscribe" if place.startswith("audio.") else "nightscribe.whisper"
    path, _, name = f"{package}.{place}".rpartition(".")
    owner: Any = pkgutil.resolve_name(path)
    if not hasattr(owner, name):
        raise SystemExit(f"{path}.{name} is gone: benchmarks/profile.py names it")
    return owner, name


def _watched(method: Callable[..., Any], stage: str, name: str, clock: _Clock) -> Any:
    def watched(*args: Any, **kwargs: Any) -> Any:
        clock.enter(stage)
        try:
            if name == "next":
                clock.rows += len(args[1])
            elif name == "encode":
                clock.windows += len(args[1])
            outcome = method(*args, **kwargs)
            # A generator works when it is drawn from: here, so that it is this stage's time.
            return iter(list(outcome)) if name == "finished" else outcome
        finally:
            clock.leave()

    return watched
