"""Windows of the spectrogram are those of the reference, at every length."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
import whisper
from whisper.audio import N_FRAMES, N_SAMPLES, log_mel_spectrogram, pad_or_trim

from nightscribe.audio.samples import FULL_SCALE
from nightscribe.audio.stored import Stored
from nightscribe.whisper.batched.log_mel import LogMel
from nightscribe.whisper.batched.windows import Window

LENGTHS = [0, 1, 159, 160, 200, 201, 479_999, 480_000, 480_001, 12_000 * 160 - 1, 12_001 * 160]


@pytest.mark.parametrize("bins", [80, 128])
@pytest.mark.parametrize("count", LENGTHS)
def test_windows_are_those_of_the_reference(count: int, bins: int, tmp_path: Path) -> None:
    samples = (np.random.default_rng(count).normal(0, 0.1, count) * FULL_SCALE).astype(np.int16)
    file = tmp_path / "samples"
    file.write_bytes(samples.tobytes())
    log_mel = LogMel(Stored(file.open("rb")), bins, "cpu")
    scaled = samples.astype(np.float32) / FULL_SCALE
    mel = log_mel_spectrogram(scaled, bins, padding=N_SAMPLES)
    content = mel.shape[1] - N_FRAMES
    assert log_mel.frames == content
    torch.testing.assert_close(
        log_mel.half_a_minute(0), pad_or_trim(mel, N_FRAMES), atol=2e-5, rtol=0
    )
    for seek in sorted({0, content // 2, max(0, content - 1), 5_990 if content > 6_000 else 0}):
        size = min(N_FRAMES, content - seek)
        if size <= 0:
            continue
        expected = whisper.pad_or_trim(mel[:, seek : seek + size], N_FRAMES)
        torch.testing.assert_close(log_mel.window(Window(seek, size)), expected, atol=2e-5, rtol=0)
