"""Nightscribe's batched engine, called as the nightly run calls it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from benchmarks.engines import Run, Setup, Text
from nightscribe.whisper.contract import Failure, Job, Request
from nightscribe.whisper.engines import engine_named, load_model
from nightscribe.whisper.options import Options


def load(setup: Setup, *, precision: str = "auto") -> Run:
    """Load the batched engine, which chooses its batch size itself."""
    model = load_model(setup.model, setup.device, precision=precision)
    options = Options(temperature=(0.0,), condition_on_previous_text=setup.conditioned)
    job = Job("transcribe", options)

    def run(paths: Sequence[str]) -> Iterator[Text]:
        by_id = {f"{number:064x}": path for number, path in enumerate(paths)}
        requests = (Request(number, path, (job,)) for number, path in by_id.items())
        for result in engine_named("batched")(requests, model):
            path = by_id[result.recording_id]
            if isinstance(result, Failure):
                raise RuntimeError(f"{path}: {result.detail}")
            tokens = sum(len(segment["tokens"]) for segment in result.segments)
            yield Text(path, result.text, result.language, tokens)

    return run
