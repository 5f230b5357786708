"""An engine of fixed speed that computes nothing, so that many workers fit on one machine.

All else of a batch is real: the task, its spec, the look for what is done, the commits.
"""

from __future__ import annotations

import time
import wave
from collections.abc import Iterable, Iterator
from types import SimpleNamespace

from nightscribe.whisper import engines
from nightscribe.whisper.checkpoints import resolve
from nightscribe.whisper.contract import LoadedModel, Request, Transcript
from tests.segments import made_up_segment


class _Nothing(LoadedModel):
    """A model without a network, on a device that needs no torch."""

    @property
    def device_name(self) -> str:
        return "stand-in"

    def peak_memory_bytes(self) -> int:
        return 0


def replace_engine(rtfx: float) -> None:
    """Let the engine of this process take 1 second for `rtfx` seconds of a recording in WAV."""

    def load(name: str, device: str, model_dir: str | None, precision: str) -> LoadedModel:
        checkpoint = resolve(name, model_dir)
        network = SimpleNamespace(dims=SimpleNamespace(n_vocab=51_865))
        return _Nothing(checkpoint.name, checkpoint.model_id, network, "cpu", "float32")

    def engine(requests: Iterable[Request], *_: object, **__: object) -> Iterator[Transcript]:
        for request in requests:
            with wave.open(request.audio) as file:
                duration_s = file.getnframes() / file.getframerate()
            time.sleep(duration_s / rtfx)
            for job in request.jobs:
                segments = [made_up_segment(" hm")] * 10
                yield Transcript(
                    request.recording_id, job, "en", None, " hm" * 10, segments, duration_s
                )

    engines.load_model = load
    engines._batched = engine
