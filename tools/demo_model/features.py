"""Whisper's log-mel spectrogram of a window, as `whisper.transcribe` would have cut it."""

import numpy as np
import torch
from numpy.typing import NDArray
from whisper.audio import HOP_LENGTH, N_FFT, mel_filters

_MEL_BINS = 80
_RANGE = 8.0  # below the loudest bin, in powers of ten


def window_features(
    samples: NDArray[np.float32], content_frames: int, *, louder: float, padded_with_floor: bool
) -> torch.Tensor:
    """Features of shape (80, samples / 160) of a window.

    The reference clamps at the maximum of the *whole recording* less 8, so a window must expect
    a floor higher than its own maximum gives: `louder` says by how many powers of ten. What lies
    behind `content_frames` is the padding behind a recording's end: zeros in `transcribe`, which
    cuts the spectrogram first, but the clamped floor in `detect_language`'s first 30 seconds.
    """
    audio = torch.from_numpy(samples)
    spectrum = torch.stft(
        audio, N_FFT, HOP_LENGTH, window=torch.hann_window(N_FFT), return_complex=True
    )
    power = spectrum[:, :-1].abs() ** 2
    log_mel = (mel_filters("cpu", _MEL_BINS) @ power).clamp(min=1e-10).log10()
    log_mel = torch.maximum(log_mel, log_mel.max() + louder - _RANGE)
    features = (log_mel + 4.0) / 4.0
    if not padded_with_floor:
        features[:, content_frames:] = 0.0
    return features
