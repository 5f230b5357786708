"""Every engine reads every recording, and with a random checkpoint does the same amount of work."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
import whisper

from benchmarks.engines import BASELINE, ENGINES, Setup, load, missing_package
from benchmarks.measure import EngineFailed, measure
from nightscribe.whisper.batched.random_weights import decoded_tokens
from tests.benchmarks.conftest import TOKENS


@pytest.fixture
def setup(models: dict[str, Path], request: pytest.FixtureRequest) -> Setup:
    name: str = request.getfixturevalue("name")
    package = missing_package(ENGINES[name])
    if package or ENGINES[name].model_format not in models:
        pytest.skip(f"{package or 'transformers, which converts,'} is not installed")
    if "bfloat16" in name:
        request.getfixturevalue("bfloat16")
    model = models[ENGINES[name].model_format]
    return Setup(str(model), "cpu", threads=1, batch_size=2, conditioned=False)


@pytest.mark.parametrize("name", ENGINES)
def test_every_engine_reads_the_same_text_in_every_window(
    name: str, setup: Setup, models: dict[str, Path], recordings: list[str]
) -> None:
    windows = dict(zip(recordings, (1, 2), strict=True))
    found = list(load(name, setup)(recordings))
    assert {text.path for text in found} == set(recordings)
    network = whisper.load_model(str(models["whisper"]))
    tokenizer = whisper.tokenizer.get_tokenizer(
        network.is_multilingual, num_languages=network.num_languages
    )
    wanted = [token for token in decoded_tokens(network.dims, TOKENS) if token < tokenizer.eot]
    expected = tokenizer.decode(wanted)
    for text in found:
        if "faster-whisper batched" in name or name == "transformers chunked":
            # One listens for speech first and finds none in noise, one cuts with overlaps.
            assert text.text.strip() in {"", expected.strip()} or windows[text.path] > 1
            continue
        assert text.text.split() == expected.split() * windows[text.path]
        assert text.tokens in {TOKENS * windows[text.path], None}
        assert text.language in {"en", None}


@pytest.mark.parametrize("name", [BASELINE])
@pytest.mark.parametrize("shape", ["multilingual"], indirect=True, scope="session")
def test_a_run_is_timed_and_its_memory_watched(
    name: str, setup: Setup, recordings: list[str]
) -> None:
    measured = measure(name, setup, recordings, recordings[:1])
    assert measured.wall_s > 0
    assert measured.peak_memory > 100 << 20  # torch alone takes more
    assert [text.path for text in measured.texts] == recordings


@pytest.mark.parametrize("name", [BASELINE])
@pytest.mark.parametrize("shape", ["multilingual"], indirect=True, scope="session")
def test_an_engine_that_fails_says_why(name: str, setup: Setup, tmp_path: Path) -> None:
    with pytest.raises(EngineFailed, match=r"status 1: .*gone\.wav"):
        measure(name, setup, [str(tmp_path / "gone.wav")], [])


def test_a_checkpoint_of_random_weights_is_the_same_every_time(
    checkpoint: Path, shape: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from benchmarks import shapes
    from tests.benchmarks.conftest import TINY_SHAPES

    monkeypatch.setitem(shapes.SHAPES, shape, TINY_SHAPES[shape])
    shapes.write_checkpoint(shape, TOKENS, tmp_path / "again.pt")
    first, again = (torch.load(file) for file in (checkpoint, tmp_path / "again.pt"))
    assert first["dims"] == again["dims"]
    weights = first["model_state_dict"]
    assert all(torch.equal(weights[name], again["model_state_dict"][name]) for name in weights)
