"""faster-whisper on CTranslate2: sequential, or with the pipeline that batches chunks."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from faster_whisper import BatchedInferencePipeline, WhisperModel

from benchmarks.engines import Run, Setup, Text


def load(setup: Setup, *, batched: bool = False, int8: bool = False) -> Run:
    """Load faster-whisper in float32 on a CPU, in float16 on CUDA, or with int8 weights."""
    precision = "float16" if setup.device == "cuda" else "float32"
    if int8:
        precision = "int8_float16" if setup.device == "cuda" else "int8"
    model = WhisperModel(
        setup.model, setup.device, compute_type=precision, cpu_threads=setup.threads
    )
    greedy: dict[str, Any] = {"beam_size": 1, "temperature": 0.0}
    pipeline: Any = model
    if batched:
        # Chunks are independent: the previous text is never a prompt.
        pipeline = BatchedInferencePipeline(model)
        greedy["batch_size"] = setup.batch_size
    else:
        greedy["condition_on_previous_text"] = setup.conditioned

    def run(paths: Sequence[str]) -> Iterator[Text]:
        for path in paths:
            found, about = pipeline.transcribe(path, **greedy)
            segments = list(found)
            text = "".join(segment.text for segment in segments)
            tokens = sum(len(segment.tokens) for segment in segments)
            yield Text(path, text, about.language, tokens)

    return run
