"""How much the padding behind a short recording changes its detected language.

    python -m tools.measure_detection --model base.pt FOLDER…

Detects the language of every recording below the folders that is shorter than 30 s, and of variants
of it: drowned in noise, through a telephone, quiet, backwards, cut. With espeak-ng, numbers in all
of its languages come on top. Each is encoded with silence behind it, as the reference does for the
language, and with zeros, as for the transcript. Prints where the two languages differ, and by how
much the wrong one led: `nightscribe.whisper.batched.language_detection` asks for more than that.
"""

from __future__ import annotations

import argparse
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from whisper.audio import N_FRAMES

from nightscribe.audio.decode import decode
from nightscribe.audio.samples import FULL_SCALE, SAMPLE_RATE
from nightscribe.errors import Rejected
from nightscribe.whisper.batched.language_detection import Language, languages_of
from nightscribe.whisper.batched.log_mel import LogMel
from nightscribe.whisper.batched.model import Network, prepared_network
from nightscribe.whisper.batched.model_shape import ModelShape
from nightscribe.whisper.batched.windows import Window
from nightscribe.whisper.engines import load_model

Sound = NDArray[np.float32]
NUMBERS = ("1 2 3 4 5 6 7", "1984 2026 57 13 800 19")
SNR_DB = (20, 10, 0, -5)


def variants(samples: Sound, random: np.random.Generator) -> Iterator[tuple[str, Sound]]:
    """(name, samples) of a recording and what may become of it."""
    yield "as it is", samples
    level = np.sqrt(np.mean(samples**2))
    for snr in SNR_DB:
        noise = random.standard_normal(len(samples)) * level * 10 ** (-snr / 20)
        yield f"noise at {snr} dB", samples + noise
    spectrum = np.fft.rfft(samples)
    frequencies = np.fft.rfftfreq(len(samples), 1 / SAMPLE_RATE)
    spectrum[(frequencies < 300) | (frequencies > 3_400)] = 0
    yield "telephone", np.fft.irfft(spectrum, len(samples))
    yield "quiet", samples * 0.01
    yield "backwards", samples[::-1]
    first = random.integers(0, max(1, len(samples) - 3 * SAMPLE_RATE))
    yield "cut", samples[first : first + 3 * SAMPLE_RATE]


def numbers() -> Iterator[tuple[str, Sound]]:
    """(name, samples) of numbers in every language of espeak-ng."""
    program = shutil.which("espeak-ng")
    if program is None:
        return
    listed = subprocess.run([program, "--voices"], capture_output=True, text=True, check=True)
    voices = sorted({line.split()[1] for line in listed.stdout.splitlines()[1:]})
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder, "spoken.wav")
        for voice in voices:
            for text in NUMBERS:
                spoken = subprocess.run([program, "-v", voice, "-w", file, text], check=False)
                if spoken.returncode:  # it lists voices that it cannot speak with
                    print(f"left out: espeak-ng {voice}", file=sys.stderr, flush=True)
                    break
                yield f"espeak-ng {voice}", decode(file).samples


def both(network: Network, shape: ModelShape, sound: Sound) -> tuple[Language, Language]:
    """The language with silence behind the recording, and with zeros."""
    steps = (sound * FULL_SCALE).round().clip(-FULL_SCALE, FULL_SCALE - 1).astype(np.int16)
    log_mel = LogMel(steps, network.dims.n_mels, "cpu")
    windows = torch.stack([log_mel.half_a_minute(0), log_mel.window(Window(0, log_mel.frames))])
    tokenizer = shape.tokenizer("en", "transcribe")
    silence, zeros = languages_of(network, tokenizer, network.encode(windows))
    return silence, zeros


def main() -> None:
    parser = argparse.ArgumentParser(description="Padding and the detected language.")
    parser.add_argument("folders", nargs="*", type=Path)
    parser.add_argument("--model", default="demo")
    given = parser.parse_args()
    model = load_model(given.model, "cpu")
    network = prepared_network(model.network, torch.float32)
    shape = ModelShape.of(model.network)
    random = np.random.default_rng(5)

    def sounds() -> Iterator[tuple[str, Sound]]:
        for path in sorted(path for folder in given.folders for path in folder.rglob("*.*")):
            try:
                samples = decode(path).samples
            except Rejected:
                continue
            yield from ((f"{path.name}, {name}", one) for name, one in variants(samples, random))
        yield from numbers()

    leads: list[float] = []
    wrong: list[tuple[float, str]] = []
    for name, sound in sounds():
        if not 2 * SAMPLE_RATE <= len(sound) < N_FRAMES * SAMPLE_RATE // 100:
            continue
        silence, zeros = both(network, shape, sound)
        leads.append(zeros.lead)
        if silence.code != zeros.code:
            wrong.append((zeros.lead, f"{name}: {silence.code}, with zeros {zeros.code}"))
        if len(leads) % 100 == 0:
            print(f"{len(leads)} recordings", file=sys.stderr, flush=True)
    print(f"{len(leads)} recordings of 2 to 30 s; in {len(wrong)} the language differs")
    for lead, text in sorted(wrong, reverse=True)[:5]:
        print(f"  led by {lead:.2f}: {text}")
    for least in (2, 3, 4, 5):
        share = np.mean([lead >= least for lead in leads])
        print(f"a lead of {least} or more: {share:.0%}")


if __name__ == "__main__":
    main()
