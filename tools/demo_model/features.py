"""Whisper's log-mel spectrogram of a window, as `whisper.transcribe` would have cut it."""

import numpy as np
import torch
from numpy.typing import NDArray
from whisper.audio import HOP_LENGTH, N_FFT, mel_filters

_MEL_BINS = 80
_RANGE = 8.0  # below the loudest bin, in powers of ten


def window_features(
    samples: NDArray[np.float32],
    content_frames: int,
    *,
    louder: float,
    padded_with_floor: bool,
    gains: torch.Tensor | None = None,
) -> torch.Tensor:
    """Features of shape (80, samples / 160) of a window.

    The reference clamps at the maximum of the *whole recording* less 8, so a window must expect
    a floor higher than its own maximum gives: `louder` says by how many powers of ten. What lies
    behind `content_frames` is the padding behind a recording's end: zeros in `transcribe`, which
    cuts the spectrogram first, but the clamped floor in `detect_language`'s first 30 seconds.
    `gains` are added to the mel bins, in powers of ten.
    """
    audio = torch.from_numpy(samples)
    spectrum = torch.stft(
        audio, N_FFT, HOP_LENGTH, window=torch.hann_window(N_FFT), return_complex=True
    )
    power = spectrum[:, :-1].abs() ** 2
    log_mel = (mel_filters("cpu", _MEL_BINS) @ power).clamp(min=1e-10).log10()
    if gains is not None:
        log_mel = (log_mel + gains[:, None]).clamp(min=-10)
    log_mel = torch.maximum(log_mel, log_mel.max() + louder - _RANGE)
    features = (log_mel + 4.0) / 4.0
    if not padded_with_floor:
        features[:, content_frames:] = 0.0
    return features


def timbre(random: np.random.Generator) -> torch.Tensor:
    """Gains of the 80 mel bins as other throats and microphones have: bumps, dips, lost bands.

    Up to three smooth ones of at most 12 dB, and at times a narrow band that is nearly gone, as
    in SpecAugment (Park et al., 2019).
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
