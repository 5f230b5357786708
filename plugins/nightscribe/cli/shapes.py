"""Speed and memory of the official shapes on this machine, each measured in its own process."""

from __future__ import annotations

import json
import logging
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from nightscribe.errors import ConfigurationError
from nightscribe.progress import duration
from nightscribe.settings import GIB, MIB, Settings
from nightscribe.text_tables import markdown_table
from nightscribe.whisper.contract import Job, LoadedModel
from nightscribe.whisper.devices import pick_device, pick_precision
from nightscribe.whisper.options import Options, tasks_of

__all__ = [
    "GENERAL",
    "ShapeFigures",
    "fitting",
    "jobs_of_random_weights",
    "measured",
    "random_model",
    "shape_table",
]

log = logging.getLogger(__name__)

GENERAL = ("tiny", "base", "small", "medium", "large-v3-turbo", "large-v3")
"""The shapes of the current multilingual models, from the worst to the best of them.

The order is that of their error rates in openai-whisper's README ("Available models and languages")
and in the announcement of turbo. English-only models are as fast as the others of their size, and
large-v2 is as fast as large-v3.
"""

_TOKENS = 100  # per window of 30 s: speech of 150 words a minute, with timestamps
_NEEDED = 2.5  # times the weights: while they are packed, there are two copies of a layer's
_NEEDED_BESIDE = GIB  # libraries, windows, caches


@dataclass(frozen=True)
class ShapeFigures:
    """What a shape does on this machine; without a speed, why it was not measured."""

    shape: str
    parameters: int
    rtfx: float | None = None
    peak_memory_bytes: int | None = None
    reason: str = ""

    def hours_in(self, hours: float) -> float:
        """Hours of audio that are transcribed in so many hours."""
        return 0.0 if self.rtfx is None else hours * self.rtfx


def random_model(shape: str, settings: Settings) -> LoadedModel:
    """A model of this shape on the device of the settings; each of its windows has 100 tokens.

    Raises:
        ConfigurationError: no official model has this name, or this machine lacks the device.
    """
    from nightscribe.whisper.batched.random_weights import SHAPES, random_network

    if shape not in SHAPES:
        raise ConfigurationError(f"--shape {shape}: choose all, {', '.join(SHAPES)}")
    device = pick_device(settings.device)
    precision = pick_precision(settings.precision, device)
    network = random_network(SHAPES[shape], _TOKENS).to(device)
    return LoadedModel(f"with random weights of {shape}", "", network, device, precision)


def jobs_of_random_weights(task: str) -> tuple[Job, ...]:
    """Jobs whose text depends on positions alone: without prompts or second tries."""
    options = Options(temperature=(0.0,), condition_on_previous_text=False)
    return tuple(Job(one, options) for one in tasks_of(task))


def measured(shape: str, flags: Sequence[str], free_bytes: int | None) -> ShapeFigures:
    """Measure one shape by `nightscribe bench --shape`, with these other flags.

    `free_bytes`: a shape that needs more main memory is not tried; None: not known.
    """
    from nightscribe.whisper.batched.random_weights import SHAPES, parameters

    count = parameters(SHAPES[shape])
    needed = int(count * 4 * _NEEDED + _NEEDED_BESIDE)
    if free_bytes is not None and needed > free_bytes:
        reason = f"needs about {needed / GIB:.1f} GiB of memory, {free_bytes / GIB:.1f} are free"
        return ShapeFigures(shape, count, reason=reason)
    with tempfile.TemporaryDirectory() as folder:
        figures = Path(folder) / "figures.json"
        command = [sys.executable, "-m", "nightscribe", "bench", "--shape", shape, *flags]
        done = subprocess.run(
            [*command, "--json", str(figures)],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        if done.returncode:
            lines = [line.strip() for line in done.stdout.splitlines() if line.strip()]
            said = lines[-1] if lines else "it said nothing"
            return ShapeFigures(shape, count, reason=f"ended with {done.returncode}: {said}")
        found: dict[str, Any] = json.loads(figures.read_text(encoding="utf-8"))
    return ShapeFigures(shape, count, found["rtfx"], found["peak_memory_bytes"])


def fitting(figures: Sequence[ShapeFigures], hours: float, within: float) -> str:
    """A sentence: the best shape that transcribes `hours` of audio in `within` hours.

    `figures` are from the worst shape to the best.
    """
    known = [one for one in figures if one.rtfx is not None]
    if not known:
        return "No shape could be measured."
    enough = [one for one in known if one.hours_in(within) >= hours]
    if enough:
        best = enough[-1]
        taken = duration(hours / (best.rtfx or 1) * 3600)
        return f"{best.shape} fits: it transcribes {hours:g} hours of audio in {taken}."
    quickest = max(known, key=lambda one: one.rtfx or 0)
    machines = hours / quickest.hours_in(within)
    return (
        f"None transcribes {hours:g} hours of audio in {within:g} hours: {quickest.shape}, the "
        f"fastest, would need {machines:.1f} such machines."
    )


def shape_table(figures: Sequence[ShapeFigures], within: float) -> str:
    """The figures as a table of a terminal, which is Markdown too."""
    head = ("model", "parameters", "RTFx", "peak memory", f"audio in {within:g} h")
    lines = []
    for one in figures:
        count = f"{one.parameters / 1e6:.0f} M"
        if one.rtfx is None or one.peak_memory_bytes is None:
            lines.append((one.shape, count, "–", "–", one.reason))
            continue
        memory = f"{one.peak_memory_bytes / MIB:.0f} MiB"
        hours = f"{one.hours_in(within):,.0f} h"
        lines.append((one.shape, count, f"{one.rtfx:.1f}", memory, hours))
    return markdown_table(head, lines)
