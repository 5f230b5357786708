"""openai-whisper itself: `whisper.transcribe`, one recording after the other.

Nightscribe decodes the audio: the samples are the same, and no ffmpeg process is started per file.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import whisper

from benchmarks.engines import Run, Setup, Text
from nightscribe.audio.decode import decode
from nightscribe.whisper.engines import load_model


def load(setup: Setup) -> Run:
    """Load openai-whisper, at temperature 0."""
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
