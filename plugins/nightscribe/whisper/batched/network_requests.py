"""What the long-form algorithm asks the network for, and the answers that it gets."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

from nightscribe.whisper.batched.windows import Window

__all__ = ["AlignWords", "DecodeWindow", "DecodedWindow", "DetectLanguage", "NetworkRequest"]


@dataclass(frozen=True)
class DetectLanguage:
    """Detect the language of the first 30 s. The answer is (language code, probability)."""


@dataclass(frozen=True)
class DecodeWindow:
    """Decode a window at one temperature. The answer is a `DecodedWindow`."""

    window: Window
    prompt: tuple[int, ...]  # tokens of the text before
    temperature: float
    language: str


@dataclass(frozen=True)
class DecodedWindow:
    """The text of a window, decoded once at one temperature."""

    tokens: list[int]  # without the end-of-text token
    temperature: float
    avg_logprob: float
    compression_ratio: float
    no_speech_prob: float


@dataclass(frozen=True)
class AlignWords:
    """Find the times of a window's words. The answer is a list of `WordTiming`."""

    window: Window
    text_tokens: tuple[int, ...]
    language: str


NetworkRequest: TypeAlias = DetectLanguage | DecodeWindow | AlignWords
