"""openai-whisper itself: `whisper.transcribe`, one recording after the other.

Its samples come from Nightscribe's decoder: the same ones that its own would give, without the
start of an ffmpeg process for each file.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import whisper

from benchmarks.engines import Run, Setup, Text
from nightscribe.audio.decode import decode
from nightscribe.whisper.engines import load_model


def load(setup: Setup) -> Run:
    """`whisper.transcribe` at temperature 0."""
    network = load_model(setup.model, setup.device).network

    def run(paths: Sequence[str]) -> Iterator[Text]:
        for path in paths:
            result = whisper.transcribe(
                network,
                decode(path).samples,
                temperature=0.0,
                condition_on_previous_text=setup.conditioned,
                fp16=setup.device == "cuda",
            )
            tokens = sum(len(segment["tokens"]) for segment in result["segments"])
            yield Text(path, result["text"], result["language"], tokens)

    return run
