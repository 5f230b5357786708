"""The engines that are compared: what each needs, and how it is called.

Every engine decodes greedily at temperature 0, without fallback, detects the language of each
recording, and reads the files by itself.
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
    """What an engine is started with."""

    model: str  # path of the checkpoint, or of the folder it was converted into
    device: str  # cpu or cuda
    threads: int
    batch_size: int  # of those engines that take one
    conditioned: bool  # whether a window is prompted with the text before it

    def of(self, model: Path) -> Setup:
        """The same with another model."""
        return replace(self, model=str(model.resolve()))


@dataclass(frozen=True)
class Text:
    """What an engine read in a recording."""

    path: str
    text: str
    language: str | None = None  # None where the engine does not tell
    tokens: int | None = None  # likewise; without the end of the text


Run = Callable[[Sequence[str]], Iterator[Text]]
"""From paths of recordings to their texts, in any order."""


@dataclass(frozen=True)
class Engine:
    """An engine by its name in the table."""

    module: str  # in this package; its `load(setup, **options)` gives a `Run`
    package: str  # without which it cannot run
    model_format: str  # whisper, transformers or ctranslate2
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
    "transformers": Engine("hugging_face", "transformers", "transformers"),
    "transformers batched": Engine(
        "hugging_face", "transformers", "transformers", {"batched": True}
    ),
    "transformers chunked": Engine(
        "hugging_face", "transformers", "transformers", {"chunked": True}
    ),
}

OURS = tuple(name for name, engine in ENGINES.items() if engine.module == "ours")


def missing(engine: Engine) -> str | None:
    """The package that an engine lacks here."""
    return None if importlib.util.find_spec(engine.package) else engine.package


def load(name: str, setup: Setup) -> Run:
    """The engine of that name, its model loaded."""
    engine = ENGINES[name]
    module = importlib.import_module(f"benchmarks.engines.{engine.module}")
    run: Run = module.load(setup, **engine.options)
    return run
