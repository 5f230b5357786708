"""Where the engine's time goes: its functions are timed, stage by stage.

A stage counts the time in its functions, without the time in other stages that they call. The
rest counts as the host's: control flow, scheduling, tokens to text. On CUDA every boundary waits
for the device; otherwise its work would count where its result is first read. So the shares are
right, but the whole takes longer than a run that is not profiled.
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
from nightscribe.text_tables import markdown_table

STAGES = {
    "wait for audio": ("audio.workers.Workers.submit", "audio.workers.Workers.finished"),
    "mel": (
        "whisper.batched.log_mel.LogMel.__init__",
        "whisper.batched.log_mel.LogMel.window",
        "whisper.batched.log_mel.LogMel.half_a_minute",
    ),
    "encode": ("whisper.batched.model.Network.encode",),
    "detect language": ("whisper.batched.language_detection.languages_of",),
    "prefill": (
        "whisper.batched.model.Network.fill_cross_cache",
        "whisper.batched.model.Network.prefill",
    ),
    "decode steps": ("whisper.batched.model.Network.decode_step",),
    "token rules": ("whisper.batched.slots.apply_token_rules",),
    "choose tokens": ("whisper.batched.slots.SlotPool._append_next",),
    "start and move slots": (
        "whisper.batched.slots.SlotPool.start_windows",
        "whisper.batched.slots.SlotPool._close_gaps",
    ),
}
"""Stages and the functions that belong to them, in `nightscribe`."""

HOST = "host"


@dataclass
class Spent:
    """Time in a stage, in seconds, and the number of calls."""

    seconds: float = 0.0
    calls: int = 0


@dataclass(frozen=True)
class Profile:
    """A run's time by stage, and how full its batches were."""

    wall_s: float
    stages: dict[str, Spent]
    decoders_s: float  # processor time of the processes that decode audio, at the same time
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
                markdown_table(["stage", "share", "time", "calls", "a call"], lines),
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
    """Counts the time that passes for the innermost stage that is running."""

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
    """Time every function of the stages, within the context."""
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
    """The module or class that has a function, and the name of the function in it."""
    path, _, name = place.rpartition(".")
    owner: Any = pkgutil.resolve_name(f"nightscribe.{path}")
    if not hasattr(owner, name):
        raise SystemExit(f"nightscribe.{place} is gone: benchmarks/profile.py names it")
    return owner, name


def _watched(method: Callable[..., Any], stage: str, name: str, clock: _Clock) -> Any:
    def watched(*args: Any, **kwargs: Any) -> Any:
        clock.enter(stage)
        try:
            if name == "decode_step":
                clock.rows += len(args[1])
            elif name == "encode":
                clock.windows += len(args[1])
            outcome = method(*args, **kwargs)
            # A generator works when its items are taken: here, so that this stage counts it.
            return iter(list(outcome)) if name == "finished" else outcome
        finally:
            clock.leave()

    return watched
