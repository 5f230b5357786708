"""The properties of a checkpoint that decide how its windows and tokens are counted."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from whisper.audio import HOP_LENGTH, N_FRAMES, SAMPLE_RATE
from whisper.tokenizer import Tokenizer, get_tokenizer

__all__ = ["ModelShape"]


@dataclass(frozen=True)
class ModelShape:
    """Languages and context lengths of a checkpoint."""

    multilingual: bool
    languages: int
    audio_context: int  # positions of the encoder: 1500
    text_context: int  # tokens of the decoder: 448

    @classmethod
    def of(cls, whisper: Any) -> ModelShape:
        """The shape of a loaded `whisper.model.Whisper`."""
        dims = whisper.dims
        return cls(
            whisper.is_multilingual, whisper.num_languages, dims.n_audio_ctx, dims.n_text_ctx
        )

    @property
    def frames_per_position(self) -> int:
        """Frames of the spectrogram per position of the encoder: 2."""
        frames: int = N_FRAMES // self.audio_context
        return frames

    @property
    def seconds_per_position(self) -> float:
        """Seconds per position of the encoder, which is also the step of timestamps: 0.02."""
        return float(self.frames_per_position * HOP_LENGTH / SAMPLE_RATE)

    @property
    def prompt_limit(self) -> int:
        """Tokens of earlier text that the decoder is given at most: 223."""
        return self.text_context // 2 - 1

    @property
    def sample_limit(self) -> int:
        """Tokens that the reference samples in a window at most, unless told otherwise: 224."""
        return self.text_context // 2

    def tokenizer(self, language: str, task: str) -> Tokenizer:
        """The checkpoint's tokenizer, set to a language and a task."""
        return get_tokenizer(
            self.multilingual, num_languages=self.languages, language=language, task=task
        )
