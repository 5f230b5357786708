"""A network small enough to run in a moment, in a shape of its own, and recordings for it."""

from __future__ import annotations

from pathlib import Path

import av
import numpy as np
import pytest
import torch
from whisper.model import ModelDimensions

from benchmarks import shapes

TOKENS = 20

TINY_SHAPES = {
    "multilingual": ModelDimensions(80, 1500, 64, 2, 1, 51_865, 448, 64, 2, 3),
    "english": ModelDimensions(80, 1500, 64, 2, 1, 51_864, 448, 64, 2, 3),
    "large-v3": ModelDimensions(128, 1500, 64, 2, 1, 51_866, 448, 64, 2, 2),
}


@pytest.fixture(scope="session", params=TINY_SHAPES)
def shape(request: pytest.FixtureRequest) -> str:
    """Name of a kind of checkpoint: what differs between them is vocabulary and mel bins."""
    name: str = request.param
    return name


@pytest.fixture(scope="session")
def checkpoint(shape: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Random weights that read `TOKENS` tokens in every window."""
    file = tmp_path_factory.mktemp("random") / f"{shape}.pt"
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(shapes.SHAPES, shape, TINY_SHAPES[shape])
        shapes.write_checkpoint(shape, TOKENS, file)
    return file


@pytest.fixture(scope="session")
def models(checkpoint: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """The checkpoint in every format whose packages are installed."""
    from importlib.util import find_spec

    from benchmarks.models import in_formats

    formats = {"ggml", "ggml-q8_0"}
    if find_spec("transformers"):
        formats |= {"transformers"} | ({"ctranslate2"} if find_spec("ctranslate2") else set())
    return in_formats(formats, checkpoint, tmp_path_factory.mktemp("models"))


@pytest.fixture(scope="session")
def recordings(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """One of 3 s and one of 40 s: one window, and two."""
    folder = tmp_path_factory.mktemp("recordings")
    random = np.random.default_rng(1)
    paths = []
    for seconds in (3, 40):
        path = folder / f"{seconds}.wav"
        noise = (random.standard_normal(seconds * 16_000) * 3_000).astype(np.int16)
        with av.open(str(path), "w", format="wav") as file:
            stream = file.add_stream("pcm_s16le", rate=16_000, layout="mono")
            frame = av.AudioFrame.from_ndarray(noise[None], "s16", "mono")
            frame.sample_rate = 16_000
            file.mux(stream.encode(frame))
            file.mux(stream.encode(None))
        paths.append(str(path))
    return paths


@pytest.fixture(autouse=True)
def _one_thread() -> None:
    torch.set_num_threads(1)
