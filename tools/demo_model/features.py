"""Whisper's log-mel spectrogram of a window, as `whisper.transcribe` computes it."""

import numpy as np
import torch
from numpy.typing import NDArray
from whisper.audio import HOP_LENGTH, N_FFT, mel_filters

_MEL_BINS = 80
_RANGE = 8.0  # dynamic range below the loudest bin, in powers of ten


def window_features(
    samples: NDArray[np.float32],
    content_frames: int,
    *,
    floor_raise: float,
    padded_with_floor: bool,
    gains: torch.Tensor | None = None,
) -> torch.Tensor:
    """Log-mel features of a window, shape (80, samples / 160).

    Args:
        samples: shape (n,), 16 kHz
        content_frames: frames of the recording; the frames after them are padding
        floor_raise: powers of ten by which the floor is higher than this window's maximum implies.
            The reference clamps at the maximum of the *whole recording* minus 8
        padded_with_floor: whether the padding has the clamped floor, as in the first 30 seconds of
            `detect_language`, or zeros, as in `transcribe`, which cuts the spectrogram first
        gains: powers of ten to add to each mel bin, shape (80,)
    """
    audio = torch.from_numpy(samples)
    spectrum = torch.stft(
        audio, N_FFT, HOP_LENGTH, window=torch.hann_window(N_FFT), return_complex=True
    )
    power = spectrum[:, :-1].abs() ** 2
    log_mel = (mel_filters("cpu", _MEL_BINS) @ power).clamp(min=1e-10).log10()
    if gains is not None:
        log_mel = (log_mel + gains[:, None]).clamp(min=-10)
    log_mel = torch.maximum(log_mel, log_mel.max() + floor_raise - _RANGE)
    features = (log_mel + 4.0) / 4.0
    if not padded_with_floor:
        features[:, content_frames:] = 0.0
    return features


def timbre(random: np.random.Generator) -> torch.Tensor:
    """Random gains of the 80 mel bins, as other voices and microphones have; powers of ten.

    The sum of up to three smooth bumps or dips of at most 12 dB, and in 40 % of the calls a nearly
    masked narrow band, as in SpecAugment (Park et al., 2019).
    """
    bins = np.arange(_MEL_BINS)
    gains = np.zeros(_MEL_BINS)
    for _ in range(random.integers(1, 4)):
        centre, width = random.uniform(0, _MEL_BINS), random.uniform(4, 20)
        gains += random.uniform(-1.2, 1.2) * np.exp(-0.5 * ((bins - centre) / width) ** 2)
    if random.random() < 0.4:
        first, width = random.integers(0, _MEL_BINS), random.integers(2, 10)
        gains[first : first + width] -= random.uniform(1, 4)
    return torch.from_numpy(gains.astype(np.float32))
