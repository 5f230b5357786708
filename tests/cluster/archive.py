"""Archives for nights of a cluster: many short recordings, all with speech of their own."""

from __future__ import annotations

import random
from fractions import Fraction
from pathlib import Path

import av
import numpy

from tests.nights import SAMPLES

KEYS = {
    "AWS_ACCESS_KEY_ID": "test",
    "AWS_SECRET_ACCESS_KEY": "test",
    "AWS_REGION": "us-east-1",
    "AWS_ALLOW_HTTP": "true",
}
"""Variables for a store that checks no keys."""
_SHORT = sorted(
    path for name in ("english", "german", "chinese") for path in (SAMPLES / name).glob("*.*")
)


def write_archive(folder: Path, recordings: int, seed: int = 0) -> Path:
    """WAV files of one to four seconds, 16 kHz: samples from a random start, at a random volume."""
    rng = random.Random(seed)
    folder.mkdir(parents=True)
    voices = [_decoded(path) for path in _SHORT]
    for number in range(recordings):
        voice = rng.choice(voices)
        length = min(rng.randint(16_000, 64_000), len(voice))
        start = rng.randint(0, len(voice) - length)
        samples = voice[start : start + length] * rng.uniform(0.3, 0.9)
        _write(folder / f"{number % 10}" / f"{number:04}.wav", samples)
    return folder


def uploaded(folder: Path, bucket: str, prefix: str) -> str:
    """Copy the files of a folder into the store that the environment names; returns their URI."""
    import boto3

    s3 = boto3.client("s3")
    for path in folder.rglob("*"):
        if path.is_file():
            s3.upload_file(str(path), bucket, f"{prefix}/{path.relative_to(folder)}")
    return f"s3://{bucket}/{prefix}"


def _decoded(path: Path) -> numpy.ndarray:
    resampler = av.AudioResampler(format="flt", layout="mono", rate=16_000)
    with av.open(str(path)) as container:
        frames = [out for frame in container.decode(audio=0) for out in resampler.resample(frame)]
    return numpy.concatenate([frame.to_ndarray()[0] for frame in frames])


def _write(path: Path, samples: numpy.ndarray) -> None:
    path.parent.mkdir(exist_ok=True)
    pcm = (samples * 32_767).clip(-32_768, 32_767).astype("int16")
    with av.open(str(path), "w", format="wav") as container:
        stream = container.add_stream("pcm_s16le", rate=16_000, layout="mono")
        frame = av.AudioFrame.from_ndarray(pcm[None], format="s16", layout="mono")
        frame.sample_rate, frame.time_base = 16_000, Fraction(1, 16_000)
        container.mux([*stream.encode(frame), *stream.encode(None)])
