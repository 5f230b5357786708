"""The language spoken in a recording.

The reference detects it in the first 30 s, with silence after a shorter recording. It transcribes
the same 30 s, but with zeros after them, which are no silence in its spectrogram. So a shorter
recording is encoded twice, which on a CPU is most of the work. Here its language is detected in
the features that the transcription needs anyway, and in the reference's only where the likeliest
language leads too little for that.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from whisper.audio import N_FRAMES
from whisper.tokenizer import Tokenizer

from nightscribe.whisper.batched.encoded_windows import RecordingFeatures, encode_windows
from nightscribe.whisper.batched.model import Network
from nightscribe.whisper.batched.windows import Window

__all__ = ["Language", "detect_languages", "languages_of"]

_MIN_FRAMES = 200
"""The zeros after less than 2 s of speech weigh more."""

_LEAD = 4.0
"""Where the padding changed the language of a recording of 2 s or more, it led by 2.1 at most: in
164 of 1,572 detections with two checkpoints (`tools/measure_detection.py`)."""


@dataclass(frozen=True)
class Language:
    """What was detected.

    Attributes:
        probability: among the languages alone: other tokens cannot come first
        lead: over the second likeliest language, in natural logarithms of probabilities
    """

    code: str
    probability: float
    lead: float


def detect_languages(
    network: Network,
    tokenizer: Tokenizer,
    recordings: Sequence[RecordingFeatures],
    batch_size: int,
) -> list[Language]:
    """The language of each recording; the encoder computes `batch_size` windows at a time."""
    found: dict[RecordingFeatures, Language] = {}
    # Where somebody begins to speak later, no window is known yet that the transcription needs.
    at_start = [one for one in recordings if one.language_from == 0]
    quick = [one for one in at_start if one.log_mel.frames >= _MIN_FRAMES]
    for first in range(0, len(quick), batch_size):
        batch = quick[first : first + batch_size]
        windows = [(one, Window(0, min(N_FRAMES, one.log_mel.frames))) for one in batch]
        features = encode_windows(network, windows, batch_size)
        languages = languages_of(network, tokenizer, features)
        found |= {
            one: language
            for one, language in zip(batch, languages, strict=True)
            if language.lead >= _LEAD or one.log_mel.frames >= N_FRAMES
        }
    left = [one for one in recordings if one not in found]
    for first in range(0, len(left), batch_size):
        batch = left[first : first + batch_size]
        features = network.encode(
            torch.stack([one.log_mel.half_a_minute(one.language_from) for one in batch])
        )
        found |= zip(batch, languages_of(network, tokenizer, features), strict=True)
    return [found[one] for one in recordings]


def languages_of(network: Network, tokenizer: Tokenizer, features: Tensor) -> list[Language]:
    """The language of each window, by its features (windows, 1500, width)."""
    start = torch.full((len(features), 1), tokenizer.sot, device=features.device)
    logits = network.run_decoder(start, features)[0][:, 0]
    probabilities = logits[:, list(tokenizer.all_language_tokens)].log_softmax(-1).cpu()
    values, places = probabilities.topk(2, dim=-1)
    codes = tokenizer.all_language_codes
    return [
        Language(codes[at], float(own.exp()), float(own - other))
        for (own, other), (at, _) in zip(values, places.tolist(), strict=True)
    ]
