"""What an engine of a test says of a recording, so that no model is needed."""

from __future__ import annotations

from typing import Any


def made_up_segment(text: str) -> dict[str, Any]:
    """A segment as engines return it, of 0.3 s."""
    return {
        "seek": 0,
        "start": 0.0,
        "end": 0.3,
        "text": text,
        "tokens": [1, 2],
        "temperature": 0.0,
        "avg_logprob": -0.1,
        "compression_ratio": 1.0,
        "no_speech_prob": 0.1,
        "words": None,
    }
