"""Damaged, joined and spliced files of every format, beside the ffmpeg command."""

from __future__ import annotations

import io
import random
import subprocess
from pathlib import Path

import pytest

from nightscribe.audio.decode import Inspected
from nightscribe.audio.operations import Inspection
from nightscribe.audio.workers import Crashed, Workers
from nightscribe.errors import Rejected
from tests.audio.files import needs_ffmpeg

FORMATS = {
    "wav": "-f wav",
    "rf64": "-f wav -rf64 always",
    "w64": "-f w64",
    "aiff": "-f aiff",
    "caf": "-f caf",
    "au": "-f au",
    "flac": "-f flac",
    "mp3": "-f mp3",
    "vorbis": "-c:a libvorbis -f ogg",
    "opus": "-c:a libopus -f ogg",
    "ogg-flac": "-c:a flac -f ogg",
    "speex": "-c:a libspeex -f ogg",
    "adts": "-c:a aac -f adts",
    "m4a": "-c:a aac -f mp4",
    "mka": "-c:a pcm_s16le -f matroska",
    "webm": "-c:a libopus -f webm",
    "wma": "-c:a wmav2 -f asf",
    "wv": "-f wv",
    "tta": "-f tta",
    "ac3": "-f ac3",
    "mp2": "-f mp2",
    "ts": "-c:a aac -f mpegts",
    "avi": "-c:a mp3 -f avi",
}


def good_files(folder: Path) -> dict[str, tuple[bytes, bytes]]:
    """Format → a file of 4 s and one of 5 s, made in an empty folder."""

    def encoded(options: str, seconds: int) -> bytes:
        noise = f"anoisesrc=d={seconds}:a=0.3:seed={seconds}:r=16000"
        source = ["ffmpeg", "-nostdin", "-v", "error", "-y", "-f", "lavfi", "-i", noise]
        subprocess.run([*source, *options.split(), str(folder / "file")], check=True)
        return (folder / "file").read_bytes()

    return {name: (encoded(opts, 4), encoded(opts, 5)) for name, opts in FORMATS.items()}


@pytest.fixture(scope="module")
def good(tmp_path_factory: pytest.TempPathFactory) -> dict[str, tuple[bytes, bytes]]:
    return good_files(tmp_path_factory.mktemp("good"))


def cut(content: bytes, other: bytes, chance: random.Random) -> bytes:
    return content[: int(len(content) * chance.uniform(0.05, 0.98))]


def bits(content: bytes, other: bytes, chance: random.Random) -> bytes:
    changed = bytearray(content)
    for _ in range(chance.randint(1, 30)):
        changed[chance.randrange(len(changed))] ^= 1 << chance.randrange(8)
    return bytes(changed)


def burst(content: bytes, other: bytes, chance: random.Random) -> bytes:
    start = chance.randrange(len(content))
    noise = chance.randbytes(min(chance.randint(10, 5000), len(content) - start))
    return content[:start] + noise + content[start + len(noise) :]


def junk(content: bytes, other: bytes, chance: random.Random) -> bytes:
    return chance.randbytes(chance.randint(1, 3000)) + content


def joined(content: bytes, other: bytes, chance: random.Random) -> bytes:
    return content + other


PER_FORMAT = 2  # times each damage: 368 files
DAMAGES = [cut, cut, bits, bits, burst, burst, junk, joined]


def damaged_files(good: dict[str, tuple[bytes, bytes]]) -> dict[str, bytes]:
    """What a file is → its content; the same files every time."""
    chance = random.Random(16)
    return {
        f"{name} {damage.__name__} {number}": damage(*good[name], chance)
        for number, damage in enumerate(PER_FORMAT * DAMAGES)
        for name in good
    }


def seconds_by_ffmpeg(content: bytes, path: Path) -> float:
    path.write_bytes(content)
    command = ["ffmpeg", "-nostdin", "-v", "quiet", "-i", str(path), "-vn", "-ac", "1"]
    command += ["-ar", "16000", "-f", "s16le", "-"]
    return len(subprocess.run(command, capture_output=True, timeout=60).stdout) / 32_000


@needs_ffmpeg
def test_where_ffmpeg_decodes_more_a_warning_or_a_rejection_says_so(
    good: dict[str, tuple[bytes, bytes]], tmp_path: Path
) -> None:
    made = damaged_files(good)
    outcomes: dict[int, Inspected | Rejected] = {}
    with Workers(2, Inspection()) as workers:
        numbers = {workers.submit(io.BytesIO(content)): what for what, content in made.items()}
        while len(outcomes) < len(numbers):
            outcomes.update(workers.finished(wait_for_one=True))
    assert not [numbers[n] for n, outcome in outcomes.items() if isinstance(outcome, Crashed)]
    silent = []
    for number, outcome in outcomes.items():
        if isinstance(outcome, Rejected) or outcome.warnings:
            continue
        seconds = seconds_by_ffmpeg(made[numbers[number]], tmp_path / "damaged")
        if seconds > 1.05 * outcome.duration_s + 0.1:
            silent.append((numbers[number], seconds, outcome.duration_s))
    assert silent == []


JOINED_TOLD: list[str] = ["wav", "rf64", "w64", "aiff", "au", "m4a"]


@needs_ffmpeg
@pytest.mark.parametrize("name", JOINED_TOLD)
def test_a_file_joined_to_another_is_told_unless_it_is_decoded(
    name: str, good: dict[str, tuple[bytes, bytes]]
) -> None:
    with Workers(1, Inspection()) as workers:
        workers.submit(io.BytesIO(b"".join(good[name])))
        [(_, outcome)] = workers.finished(wait_for_one=True)
    assert isinstance(outcome, Inspected)
    assert outcome.duration_s > 8.5 or [w.kind for w in outcome.warnings] == ["trailing_bytes"]
