"""A clip of the sample archive: speech in a format, with its row in the manifest."""

import io
import random
from collections.abc import Sequence
from dataclasses import dataclass

import av
import numpy as np
from numpy.typing import NDArray

from tools.demo_model.corpus import SAMPLE_RATE, speak
from tools.demo_model.grammar import Sentence
from tools.demo_model.recording import LEVEL, joined
from tools.demo_model.voices import Voice

COLUMNS = ("path", "language", "text", "translation", "dataset", "synthesizer", "condition")
"""The header of the manifests."""

_DATASET = "synthetic"
_SYNTHESIZER = "espeak-ng"


@dataclass(frozen=True)
class Form:
    """The format of a clip, and its number of sentences."""

    suffix: str
    codec: str
    rate: int
    layout: str
    sentences: int
    bit_rate: int | None = None


@dataclass(frozen=True)
class Clip:
    """An encoded clip, and the content of its row in the manifest."""

    name: str
    content: bytes
    language: str
    text: str
    translation: str
    condition: str

    def row(self, path: str) -> list[str]:
        """The row of the manifest for this clip at a path."""
        given = [path, self.language, self.text, self.translation]
        return [*given, _DATASET, _SYNTHESIZER, self.condition]


def encoded(samples: NDArray[np.float32], form: Form) -> bytes:
    """Encode 16 kHz mono samples in a format; returns the content of the file."""
    file = io.BytesIO()
    container = {"m4a": "ipod"}.get(form.suffix, form.suffix)
    # Without it, an Ogg file has a random serial number.
    exact = {"fflags": "+bitexact"}
    with av.open(file, "w", format=container, options=exact) as output:
        stream = output.add_stream(form.codec, rate=form.rate, layout=form.layout)
        if form.bit_rate:
            stream.bit_rate = form.bit_rate
        resampler = av.AudioResampler(stream.format.name, form.layout, form.rate)
        frame = av.AudioFrame.from_ndarray(
            (samples.clip(-1, 1) * 32767).astype(np.int16)[None], "s16", "mono"
        )
        frame.sample_rate = SAMPLE_RATE
        fifo = av.AudioFifo()
        for resampled in [*resampler.resample(frame), *resampler.resample(None)]:
            resampled.pts = None
            fifo.write(resampled)
        size = stream.codec_context.frame_size or 4096
        while piece := fifo.read(size) or fifo.read(size, partial=True):
            output.mux(stream.encode(piece))
        output.mux(stream.encode(None))
    return file.getvalue()


def spoken(
    texts: Sequence[Sentence], language: str, voice: Voice, pick: random.Random
) -> NDArray[np.float32]:
    """Sentences in one voice, with a pause of up to a second before and after each."""
    parts = [np.zeros(int(pick.uniform(0.1, 0.5) * SAMPLE_RATE), np.float32)]
    for sentence in texts:
        said = speak(sentence, language, voice).samples.astype(np.float32) / 32768
        pause = np.zeros(int(pick.uniform(0.4, 0.9) * SAMPLE_RATE), np.float32)
        parts += [said * LEVEL, pause]
    return np.concatenate(parts)


def clip_of(
    name: str,
    samples: NDArray[np.float32],
    form: Form,
    texts: Sequence[Sentence],
    language: str,
    condition: str,
) -> Clip:
    """A clip of 16 kHz mono samples in which these sentences are spoken."""
    return Clip(
        f"{name}.{form.suffix}",
        encoded(samples, form),
        language,
        joined(texts, language),
        joined(texts, "en"),
        condition,
    )
