"""What a real checkpoint makes of real speech: error rates, and the same text from every format."""

from __future__ import annotations

import wave
from pathlib import Path

import jiwer
import numpy as np
import pytest

from evaluation.measure.counts import word_counts
from evaluation.measure.normalize import normalize
from evaluation.measure.rates import error_measures
from nightscribe.audio.decode import decode
from nightscribe.audio.samples import FULL_SCALE, SAMPLE_RATE
from nightscribe.whisper.batched.scheduler import transcribe_batched
from nightscribe.whisper.contract import Job, LoadedModel
from nightscribe.whisper.options import Options
from tests.parity import requests, run
from tests.real_speech.conftest import Spoken

PLAIN = Job("transcribe", Options())


def texts_of(model: LoadedModel, paths: list[Path]) -> list[str]:
    """The text of each recording."""
    found = run(transcribe_batched, requests(paths, PLAIN), model)
    return [found[f"{number:064x}", PLAIN].text for number in range(len(paths))]


def test_few_words_are_wrong_and_jiwer_counts_the_same(
    model: LoadedModel, spoken: list[Spoken]
) -> None:
    known = [one for one in spoken if one.text]
    texts = texts_of(model, [one.path for one in known])
    references = [normalize(one.text, one.language) for one in known]
    hypotheses = [normalize(text, one.language) for one, text in zip(known, texts, strict=True)]
    rate = error_measures(word_counts(references, hypotheses)).error_rate.value
    assert rate == pytest.approx(jiwer.wer(references, hypotheses), abs=1e-9)
    assert rate < 0.08  # `base` has 0.04


def variants(path: Path, folder: Path) -> dict[str, Path]:
    """The same samples in other files: more channels, more bits, another header."""
    samples = decode(path).samples
    steps = (samples * FULL_SCALE).round().astype("<i2")
    silent = np.zeros_like(steps)
    in_24_bits = np.zeros((len(steps), 3), np.uint8)
    in_24_bits[:, 1:] = steps.view(np.uint8).reshape(-1, 2)
    made = {
        "mono": (1, 2, steps.tobytes()),
        "stereo": (2, 2, np.stack([steps, steps], 1).tobytes()),
        "24 bits": (1, 3, in_24_bits.tobytes()),
        "eight channels": (8, 2, np.stack([steps] * 8, 1).tobytes()),
        "one of two channels is silent": (2, 2, np.stack([steps, silent], 1).tobytes()),
    }
    for name, (channels, width, content) in made.items():
        with wave.open(str(folder / f"{name}.wav"), "wb") as file:
            file.setnchannels(channels)
            file.setsampwidth(width)
            file.setframerate(SAMPLE_RATE)
            file.writeframes(content)
    # A recorder that was switched off: the header says that there is no audio.
    cut = bytearray((folder / "mono.wav").read_bytes())
    cut[4:8] = cut[40:44] = bytes(4)
    (folder / "no length in the header.wav").write_bytes(cut)
    return {path.stem: path for path in sorted(folder.iterdir())}


def test_one_speech_in_many_files_has_one_text(
    model: LoadedModel, spoken: list[Spoken], tmp_path: Path
) -> None:
    original = spoken[0].path
    files = variants(original, tmp_path)
    assert len(files) == 6
    [expected, *texts] = texts_of(model, [original, *files.values()])
    assert expected.strip()
    assert dict(zip(files, texts, strict=True)) == dict.fromkeys(files, expected)
