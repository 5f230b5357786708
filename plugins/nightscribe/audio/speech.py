"""Where somebody speaks in a recording, by Silero's voice activity detector.

The detector is the package `silero-vad`, which contains its network (Silero Team 2021,
https://github.com/snakers4/silero-vad). It gives the probability of speech for every 32 ms.
"""

from __future__ import annotations

import functools
import importlib.util
from collections.abc import Iterator
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from nightscribe.audio.samples import SAMPLE_RATE, as_float
from nightscribe.errors import ConfigurationError

__all__ = ["SKIPPED_S", "Clips", "check_installed", "speech_in"]

Clips = tuple[tuple[float, float], ...]
"""(start, end) of each stretch, in seconds, in order and without overlaps."""

SKIPPED_S = 2.0
"""A stretch without speech is skipped if it is at least as long: shorter ones are pauses."""

_PADDING_S = 0.4  # kept before and after speech, whose first and last sounds are quiet
_THRESHOLD = 0.5  # the detector's own default
_FRAME = 512  # samples of a probability
_BLOCK = 16_000 * _FRAME  # 8.5 minutes at a time, so that memory does not grow with the length
_LEAD_IN = 160 * _FRAME  # 5 s heard again before a block: the detector starts each one anew


class _Sliced(Protocol):
    def __len__(self) -> int: ...

    def __getitem__(self, part: slice) -> NDArray[np.int16]: ...


def check_installed() -> None:
    """Raise `ConfigurationError` if the detector or what runs it is not installed."""
    for package in ("silero_vad", "onnxruntime"):
        if importlib.util.find_spec(package) is None:
            raise ConfigurationError(
                f"option speech_only: the package {package} is not installed; install the extra "
                "vad: pip install 'nightscribe[vad]'"
            )


def speech_in(samples: _Sliced) -> Clips:
    """The stretches of a recording with speech, and with pauses of less than `SKIPPED_S`.

    `samples`: 16-bit, 16 kHz mono, read slice by slice. Times are multiples of 10 ms, so they are
    the same frames for every engine. What is not skipped at the start and at the end belongs to
    the first and the last stretch, so that of a recording without long pauses nothing is cut off.

    Raises:
        ConfigurationError: the detector is not installed.
    """
    check_installed()
    probabilities = np.concatenate([*_probabilities(samples), np.zeros(0, np.float32)])
    from silero_vad import get_speech_timestamps_from_probs

    found = get_speech_timestamps_from_probs(
        probabilities.tolist(),
        sampling_rate=SAMPLE_RATE,
        threshold=_THRESHOLD,
        min_silence_duration_ms=int(1000 * SKIPPED_S),
        speech_pad_ms=int(1000 * _PADDING_S),
        audio_length_samples=len(samples),
    )
    stretches = [(one["start"] / SAMPLE_RATE, one["end"] / SAMPLE_RATE) for one in found]
    return _without_short_gaps(stretches, len(samples) / SAMPLE_RATE)


def _without_short_gaps(stretches: list[tuple[float, float]], length_s: float) -> Clips:
    """Stretches in whole frames of 10 ms; what lies between them is at least as long as skipped.

    The padding of two stretches counts as a part of the pause between them.
    """
    least = SKIPPED_S - 2 * _PADDING_S
    joined: list[tuple[float, float]] = []
    for start, end in stretches:
        if joined and start - joined[-1][1] < least:
            start = joined.pop()[0]
        joined.append((start, end))
    if joined and joined[0][0] < SKIPPED_S - _PADDING_S:
        joined[0] = (0.0, joined[0][1])
    if joined and length_s - joined[-1][1] < SKIPPED_S - _PADDING_S:
        joined[-1] = (joined[-1][0], length_s)
    return tuple((int(100 * start) / 100, int(100 * end) / 100) for start, end in joined)


def _probabilities(samples: _Sliced) -> Iterator[NDArray[np.float32]]:
    for first in range(0, len(samples), _BLOCK):
        lead_in = min(first, _LEAD_IN)
        block = as_float(samples[first - lead_in : first + _BLOCK])
        yield _detector().audio_forward(block)[lead_in // _FRAME :]


@functools.cache
def _detector() -> Any:
    import torch

    threads = torch.get_num_threads()
    # The package limits the whole process to one thread of torch when it is imported.
    from silero_vad import load_silero_vad

    torch.set_num_threads(threads)
    return load_silero_vad(onnx=True, sequence=True)
