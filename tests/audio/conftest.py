"""Speech in every format that there is an encoder for."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import av
import numpy as np
import pytest
from numpy.typing import NDArray

from tests.audio.files import JFK
from tools.compare_audio import CASES, Case, encode, read


@pytest.fixture(scope="session")
def speech() -> tuple[NDArray[np.float32], int]:
    samples, rate = read(JFK)
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
