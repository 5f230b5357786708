"""Whisper in Transformers: long-form `generate`, or the pipeline that splits into chunks."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import torch
from transformers import (
    AutomaticSpeechRecognitionPipeline,
    WhisperFeatureExtractor,
    WhisperForConditionalGeneration,
    WhisperTokenizer,
)

from benchmarks.engines import Run, Setup, Text
from nightscribe.audio.decode import decode
from nightscribe.audio.samples import SAMPLE_RATE

_WINDOW_S = 30


def load(setup: Setup, *, batched: bool = False, chunked: bool = False) -> Run:
    """Load Transformers' Whisper in float32 on a CPU, in float16 on CUDA."""
    dtype = torch.float16 if setup.device == "cuda" else torch.float32
    model: Any = WhisperForConditionalGeneration.from_pretrained(setup.model, dtype=dtype)
    model = model.to(setup.device).eval()
    extractor = WhisperFeatureExtractor.from_pretrained(setup.model)
    tokenizer = WhisperTokenizer.from_pretrained(setup.model)
    greedy: dict[str, Any] = {"num_beams": 1, "do_sample": False}
    if model.generation_config.is_multilingual:
        greedy["task"] = "transcribe"  # without it, the model chooses and may translate
    if chunked:
        return _chunks(model, extractor, tokenizer, setup, greedy)
    size = setup.batch_size if batched else 1

    def run(paths: Sequence[str]) -> Iterator[Text]:
        for first in range(0, len(paths), size):
            yield from read(paths[first : first + size])

    def read(paths: Sequence[str]) -> Iterator[Text]:
        samples = [decode(path).samples for path in paths]
        longer = max(map(len, samples)) > _WINDOW_S * SAMPLE_RATE
        features = extractor(
            samples,
            sampling_rate=SAMPLE_RATE,
            return_tensors="pt",
            truncation=False,
            # The encoder needs at least one window.
            padding="longest" if longer else "max_length",
            return_attention_mask=True,
        )
        found = model.generate(
            features.input_features.to(setup.device, dtype),
            attention_mask=features.attention_mask.to(setup.device),
            return_timestamps=True,
            condition_on_prev_tokens=setup.conditioned,
            **greedy,
        )
        for path, tokens in zip(paths, found, strict=True):
            count = int((tokens != tokenizer.eos_token_id).sum())
            yield Text(path, tokenizer.decode(tokens, skip_special_tokens=True), None, count)

    return run


def _chunks(
    model: Any, extractor: Any, tokenizer: Any, setup: Setup, greedy: dict[str, Any]
) -> Run:
    pipeline = AutomaticSpeechRecognitionPipeline(
        model=model,
        feature_extractor=extractor,
        tokenizer=tokenizer,
        device=setup.device,
        chunk_length_s=_WINDOW_S,
        batch_size=setup.batch_size,
    )

    def run(paths: Sequence[str]) -> Iterator[Text]:
        samples = ({"raw": decode(path).samples, "sampling_rate": SAMPLE_RATE} for path in paths)
        for path, result in zip(paths, pipeline(samples, generate_kwargs=greedy), strict=True):
            yield Text(path, result["text"])

    return run
