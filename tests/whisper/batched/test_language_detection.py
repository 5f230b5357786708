"""The language of a recording is that of the reference, mostly without encoding it twice."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
import whisper
from torch import Tensor
from whisper.audio import N_FRAMES, N_SAMPLES, SAMPLE_RATE

from nightscribe.audio.decode import decode
from nightscribe.audio.samples import FULL_SCALE
from nightscribe.whisper.batched.encoded_windows import RecordingFeatures
from nightscribe.whisper.batched.language_detection import detect_languages
from nightscribe.whisper.batched.log_mel import LogMel
from nightscribe.whisper.batched.model import Network, prepared_network
from nightscribe.whisper.batched.model_shape import ModelShape
from nightscribe.whisper.batched.windows import Window
from nightscribe.whisper.contract import LoadedModel
from nightscribe.whisper.engines import load_model
from tests.nights import SAMPLES

CLIPS = [
    SAMPLES / f"{place}-0{number}{suffix}"
    for place, number, suffix in (
        ("english/en", 1, ".flac"),
        ("german/de", 2, ".mp3"),
        ("chinese/zh", 3, ".ogg"),
        ("russian/radio/ru", 4, ".wav"),
    )
]


@pytest.fixture(scope="module")
def model() -> LoadedModel:
    return load_model("demo", "cpu")


@pytest.fixture
def encoded(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How many windows each call of the encoder got."""
    calls: list[int] = []
    encode = Network.encode

    def counted(self: Network, mel: Tensor) -> Tensor:
        calls.append(len(mel))
        return encode(self, mel)

    monkeypatch.setattr(Network, "encode", counted)
    return calls


def detect(model: LoadedModel, sounds: list[np.ndarray]) -> tuple[list[str], list[float]]:
    network = prepared_network(model.network, torch.float32)
    recordings = [RecordingFeatures(LogMel(pcm(sound), 80, "cpu"), 1) for sound in sounds]
    tokenizer = ModelShape.of(model.network).tokenizer("en", "transcribe")
    found = detect_languages(network, tokenizer, recordings, 2)
    for one, sound in zip(recordings, sounds, strict=True):
        if len(sound) >= 2 * SAMPLE_RATE:
            # What the transcription starts with is there already.
            assert one.get(Window(0, min(N_FRAMES, one.log_mel.frames))) is not None
    return [one.code for one in found], [one.probability for one in found]


def by_reference(model: LoadedModel, sound: np.ndarray) -> tuple[str, float]:
    heard = pcm(sound).astype(np.float32) / FULL_SCALE
    mel = whisper.pad_or_trim(whisper.log_mel_spectrogram(heard, padding=N_SAMPLES), N_FRAMES)
    _, probabilities = model.network.detect_language(mel)
    code = max(probabilities, key=probabilities.get)
    return code, probabilities[code]


def pcm(sound: np.ndarray) -> np.ndarray:
    return (sound * FULL_SCALE).round().clip(-FULL_SCALE, FULL_SCALE - 1).astype(np.int16)


def sounds_of(paths: list[Path]) -> list[np.ndarray]:
    return [decode(path).samples for path in paths]


def test_a_language_beyond_doubt_takes_one_encoding(model: LoadedModel, encoded: list[int]) -> None:
    sounds = sounds_of(CLIPS)
    codes, probabilities = detect(model, sounds)
    assert codes == ["en", "de", "zh", "ru"]
    assert sum(encoded) == len(CLIPS)
    for sound, code, probability in zip(sounds, codes, probabilities, strict=True):
        expected, its = by_reference(model, sound)
        assert code == expected
        assert probability == pytest.approx(its, abs=0.03)


def test_a_doubtful_language_is_that_of_the_references_padding(
    model: LoadedModel, encoded: list[int]
) -> None:
    """Noise, a tone, silence, and speech that is shorter than 2 s or drowned."""
    random = np.random.default_rng(8)
    speech = decode(CLIPS[0]).samples
    time_s = np.arange(5 * SAMPLE_RATE) / SAMPLE_RATE
    sounds = [
        random.standard_normal(4 * SAMPLE_RATE) * 0.05,
        0.2 * np.sin(2 * np.pi * 440 * time_s),
        np.zeros(3 * SAMPLE_RATE),
        speech[: 3 * SAMPLE_RATE // 2],
        speech + random.standard_normal(len(speech)) * speech.std() * 3,
        np.zeros(100),
    ]
    codes, probabilities = detect(model, sounds)
    assert sum(encoded) > len(sounds)
    for sound, code, probability in zip(sounds, codes, probabilities, strict=True):
        expected, its = by_reference(model, sound)
        assert code == expected
        assert probability == pytest.approx(its, abs=1e-4)


def test_thirty_seconds_and_more_have_no_padding(model: LoadedModel, encoded: list[int]) -> None:
    sound = np.concatenate([*sounds_of(CLIPS)] * 3)[: 31 * SAMPLE_RATE]
    assert len(sound) > 30 * SAMPLE_RATE
    codes, [probability] = detect(model, [sound])
    assert encoded == [1]
    expected, its = by_reference(model, sound)
    assert codes == [expected]
    assert probability == pytest.approx(its, abs=1e-4)
