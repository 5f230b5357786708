"""Speech in every format that there is an encoder for."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import av
import numpy as np
import pytest
from numpy.typing import NDArray

from tools.compare_audio import CASES, Case, encode, read

SAMPLES = Path(__file__).parents[2] / "samples" / "archive"


@pytest.fixture(scope="session")
def recording(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Eleven seconds of speech with a little noise: FLAC, 24-bit, 44.1 kHz stereo."""
    clips = [read(path) for path in sorted(SAMPLES.glob("*/*-01.flac"))]
    assert {rate for _, rate in clips} == {44_100}
    speech = np.concatenate([samples for samples, _ in clips])[: 11 * 44_100]
    speech = speech + np.random.default_rng(1).normal(0, 0.003, len(speech))
    case = Case("FLAC, 24-bit, 44.1 kHz stereo", "flac", "flac", "flac", "s32", 44_100, "stereo")
    path = tmp_path_factory.mktemp("recording") / "recording.flac"
    return encode(speech.astype(np.float32), 44_100, case, path)


@pytest.fixture(scope="session")
def speech(recording: Path) -> tuple[NDArray[np.float32], int]:
    """Four seconds of it: samples of shape (n,), and the rate in Hz."""
    samples, rate = read(recording)
    return samples[rate : 5 * rate], rate


@pytest.fixture(scope="session")
def encoded(
    speech: tuple[NDArray[np.float32], int], tmp_path_factory: pytest.TempPathFactory
) -> Callable[[str | Case], Path]:
    """Four seconds of speech, encoded as the case says; each file is made once."""
    folder = tmp_path_factory.mktemp("audio")
    cases = {case.name: case for case in CASES}

    def file(case: str | Case) -> Path:
        case = cases[case] if isinstance(case, str) else case
        path = folder / f"{''.join(filter(str.isalnum, case.name))}.{case.suffix}"
        if not path.exists():
            if case.codec not in av.codecs_available and shutil.which("ffmpeg") is None:
                pytest.skip(f"PyAV has no {case.codec} encoder, and there is no ffmpeg command")
            encode(*speech, case, path)
        return path

    return file
