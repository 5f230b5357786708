"""Any rate, layout and sample format becomes 16-bit samples at 16 kHz, mono."""

from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from nightscribe.audio.decode import decode, inspect
from nightscribe.errors import Reason, Rejected
from tests.audio.files import needs_ffmpeg, rejection, wav


def test_16_bit_16_khz_mono_samples_are_kept_exactly() -> None:
    samples = np.random.default_rng(0).integers(-32768, 32768, 50_000, dtype=np.int16)
    decoded = decode(io.BytesIO(wav(samples.tobytes())))
    assert decoded.samples.dtype == np.float32
    np.testing.assert_array_equal(decoded.samples, samples.astype(np.float32) / 32768.0)
    assert decoded.warning is None


@needs_ffmpeg
def test_a_recording_that_changes_its_sample_rate_midway_is_decoded_to_the_end(
    encoded: Callable[[str], Path], tmp_path: Path
) -> None:
    from whisper.audio import load_audio

    first, second = encoded("MP3, 44.1 kHz stereo"), encoded("MP3, 16 kHz mono")
    joined = tmp_path / "joined.mp3"
    joined.write_bytes(first.read_bytes() + second.read_bytes())
    ours, theirs = decode(joined).samples, load_audio(str(joined))
    assert len(ours) / 16_000 == pytest.approx(8.0, abs=0.2)
    # At the change, ffmpeg drops what its resampler still holds: about two milliseconds.
    assert 0 <= len(ours) - len(theirs) <= 40


@pytest.mark.parametrize("rate", [1, 999, 2**31 - 1])
def test_a_sample_rate_that_would_blow_up_is_refused(rate: int) -> None:
    assert rejection(wav(bytes(20_000), rate=rate)).reason is Reason.NOT_AUDIO


def test_channels_that_cannot_be_mixed_are_refused_by_inspect_and_decode() -> None:
    content = wav(bytes(2 * 63 * 1000), channels=63)
    assert "63 channels" in rejection(content).detail
    with pytest.raises(Rejected, match="not_audio"):
        inspect(io.BytesIO(content))
