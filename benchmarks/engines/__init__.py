"""The engines that are compared: their packages and options, and one function to load them.

Every engine decodes greedily at temperature 0 without fallback, detects the language of each
recording, and reads the audio files itself.
"""

from __future__ import annotations

import importlib
import importlib.util
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class Setup:
    """Parameters of a run, the same for all engines but for the format of the model."""

    model: str  # path of the checkpoint, or of the folder it was converted into
    device: str  # cpu or cuda
    threads: int
    batch_size: int  # for the engines that have one
    conditioned: bool  # whether the previous text is the prompt of a window

    def of(self, model: Path) -> Setup:
        """The same setup with another model."""
        return replace(self, model=str(model.resolve()))


@dataclass(frozen=True)
class Text:
    """The text that an engine gives for a recording."""

    path: str
    text: str
    language: str | None = None  # None if the engine does not report it
    tokens: int | None = None  # without the end-of-text token; None if not reported


Run = Callable[[Sequence[str]], Iterator[Text]]
"""Function from paths of recordings to their texts, in any order."""


@dataclass(frozen=True)
class Engine:
    """Where an engine is implemented, and with which options."""

    module: str  # of this package; its `load(setup, **options)` returns a `Run`
    package: str  # Python package that it needs
    model_format: str  # whisper, transformers, ctranslate2, ggml or ggml-q8_0
    options: Mapping[str, Any] = field(default_factory=dict)


BASELINE = "openai-whisper"

ENGINES = {
    BASELINE: Engine("openai", "whisper", "whisper"),
    "nightscribe": Engine("ours", "nightscribe", "whisper"),
    "nightscribe bfloat16": Engine("ours", "nightscribe", "whisper", {"precision": "bfloat16"}),
    "faster-whisper": Engine("faster", "faster_whisper", "ctranslate2"),
    "faster-whisper int8": Engine("faster", "faster_whisper", "ctranslate2", {"int8": True}),
    "faster-whisper batched": Engine("faster", "faster_whisper", "ctranslate2", {"batched": True}),
    "faster-whisper batched int8": Engine(
        "faster", "faster_whisper", "ctranslate2", {"batched": True, "int8": True}
    ),
    "whisper.cpp": Engine("cpp", "pywhispercpp", "ggml"),
    "whisper.cpp q8_0": Engine("cpp", "pywhispercpp", "ggml-q8_0"),
    "transformers": Engine("hugging_face", "transformers", "transformers"),
    "transformers batched": Engine(
        "hugging_face", "transformers", "transformers", {"batched": True}
    ),
    "transformers chunked": Engine(
        "hugging_face", "transformers", "transformers", {"chunked": True}
    ),
}
"""Name in the table → engine."""

OURS = tuple(name for name, engine in ENGINES.items() if engine.module == "ours")


def missing_package(engine: Engine) -> str | None:
    """The package of the engine if it is not installed, else None."""
    return None if importlib.util.find_spec(engine.package) else engine.package


def load(name: str, setup: Setup) -> Run:
    """Load the engine with this name and its model."""
    engine = ENGINES[name]
    module = importlib.import_module(f"benchmarks.engines.{engine.module}")
    run: Run = module.load(setup, **engine.options)
    return run
