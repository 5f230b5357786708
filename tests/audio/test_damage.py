"""What is damaged or cut short is used, with a warning that says where."""

from __future__ import annotations

import io
import re
import subprocess
from collections.abc import Callable
from pathlib import Path

import av
import numpy as np
import pytest

from nightscribe.audio.decode import decode, inspect
from nightscribe.errors import Rejected, WarningKind
from tests.audio.files import damaged, needs_ffmpeg, wav


@pytest.mark.parametrize(
    "name",
    [
        "WAV, 16-bit, 44.1 kHz stereo",
        "WAV, float, 16 kHz mono",
        "FLAC, 16-bit, 16 kHz mono",
        "AIFF, 16-bit, 44.1 kHz stereo",
        "MP3, 44.1 kHz stereo",
        "WebM, Opus 48 kHz stereo",
    ],
)
def test_a_file_cut_in_half_is_decoded_with_a_warning(
    name: str, encoded: Callable[[str], Path]
) -> None:
    file = encoded(name)
    content = file.read_bytes()
    whole, half = decode(file), decode(io.BytesIO(content[: len(content) // 2]))
    assert 1.0 < len(half.samples) / 16_000 < 3.0
    assert half.warning is not None
    assert "cut short" in half.warning
    assert f"{len(half.samples) / 16_000:.1f} s" in half.warning
    same = len(half.samples) - 1600
    np.testing.assert_allclose(half.samples[:same], whole.samples[:same], atol=1e-3)


@pytest.mark.parametrize(
    "name",
    [
        "FLAC, 16-bit, 16 kHz mono",
        "MP3, 44.1 kHz stereo",
        "M4A, AAC 44.1 kHz stereo",
        "OGG Opus, 48 kHz stereo",
        "OGG Vorbis, 44.1 kHz stereo",
        "WMA, 44.1 kHz stereo",
    ],
)
def test_a_file_damaged_in_the_middle_is_decoded_with_a_warning_that_says_where(
    name: str, encoded: Callable[[str], Path]
) -> None:
    content = damaged(encoded(name).read_bytes())
    decoded, inspected = decode(io.BytesIO(content)), inspect(io.BytesIO(content))
    assert 1.9 < len(decoded.samples) / 16_000 < 4.1  # a page of Ogg holds a second or two
    assert decoded.warning is not None
    where = re.search(r"(?:at about|cut short:) ([\d.]+) s", decoded.warning)
    assert where is not None
    assert 0.9 <= float(where[1]) <= 2.5
    assert inspected.warning == decoded.warning
    assert inspected.duration_s == pytest.approx(len(decoded.samples) / 16_000, abs=0.001)


@needs_ffmpeg
def test_variable_bit_rate_without_a_header_is_not_taken_for_cut_short(
    recording: Path, tmp_path: Path
) -> None:
    file = tmp_path / "vbr.mp3"
    command = ["ffmpeg", "-nostdin", "-v", "error", "-f", "lavfi", "-i", "anullsrc=r=44100:d=20"]
    command += [
        "-i",
        str(recording),
        "-filter_complex",
        "[1:a][0:a]concat=n=2:v=0:a=1",
        "-q:a",
        "4",
    ]
    subprocess.run([*command, "-write_xing", "0", str(file)], check=True)
    inspected = inspect(file)
    assert inspected.duration_s == pytest.approx(31.0, abs=0.1)
    assert inspected.info.duration_s != pytest.approx(31.0, abs=3.0)
    assert inspected.warning is None


def test_wav_of_a_program_that_could_not_know_the_size_has_no_warning() -> None:
    content = bytearray(wav(bytes(32_000)))
    content[4:8] = content[40:44] = b"\xff\xff\xff\xff"
    decoded = decode(io.BytesIO(content))
    assert len(decoded.samples) == 16_000
    assert decoded.warning is None


def test_wav_whose_header_counts_itself_has_no_warning() -> None:
    content = bytearray(wav(bytes(32_000)))
    content[4:8] = len(content).to_bytes(4, "little")  # the right size is 8 less
    assert inspect(io.BytesIO(content)).warning is None


def joined_wavs() -> bytes:
    return wav(bytes(64_000)) + wav(bytes(range(256)) * 250)


def stale_header() -> bytes:
    """A recorder that crashed: the header states less than was written."""
    content = bytearray(wav(b"\1\2" * 64_000))
    content[4:8] = (36 + 64_000).to_bytes(4, "little")
    content[40:44] = (64_000).to_bytes(4, "little")
    return bytes(content)


def second_data() -> bytes:
    content = bytearray(wav(bytes(64_000)))
    content += b"data" + (64_000).to_bytes(4, "little") + b"\1\2" * 32_000
    content[4:8] = (len(content) - 8).to_bytes(4, "little")
    return bytes(content)


def joined_aiffs() -> bytes:
    parts = []
    for fill in (b"\0", b"\7"):
        file = io.BytesIO()
        with av.open(file, "w", format="aiff") as container:
            stream = container.add_stream("pcm_s16be", rate=16_000, layout="mono")
            samples = np.frombuffer(fill * 64_000, np.int16)[None]
            frame = av.AudioFrame.from_ndarray(samples, "s16", "mono")
            frame.sample_rate = 16_000
            container.mux(stream.encode(frame))
        parts.append(file.getvalue())
    return b"".join(parts)


def tagged_wavs() -> bytes:
    """A tag lies between the two."""
    return wav(bytes(64_000)) + b"TAG" + b" " * 125 + wav(bytes(range(256)) * 250)


@pytest.mark.parametrize(
    "make", [joined_wavs, stale_header, second_data, joined_aiffs, tagged_wavs]
)
def test_audio_behind_the_stated_end_is_told_with_its_seconds(make: Callable[[], bytes]) -> None:
    found = inspect(io.BytesIO(make()))
    assert found.duration_s == pytest.approx(2.0, abs=0.01)
    [warning] = found.warnings
    assert warning.kind is WarningKind.TRAILING_BYTES
    assert warning.missing_s == pytest.approx(2.0, abs=0.02)


@pytest.mark.parametrize("tail", [b"\0" * 5000, b"ID3\4" + b"x" * 9000, b"TAG" + b" " * 125])
def test_tags_and_padding_behind_the_end_are_no_lost_audio(tail: bytes) -> None:
    assert inspect(io.BytesIO(wav(bytes(64_000)) + tail)).warnings == ()


@needs_ffmpeg
@pytest.mark.parametrize(
    ("suffix", "options"),
    [
        ("wma", ""),
        ("tta", ""),
        ("caf", ""),
        ("caf", "-c:a alac"),
        ("voc", ""),
        ("flv", "-ar 44100"),
        ("m4a", ""),
        ("au", ""),
        ("w64", ""),
    ],
)
def test_a_second_file_behind_the_first_is_told(suffix: str, options: str, tmp_path: Path) -> None:
    file = tmp_path / f"one.{suffix}"
    tone = ["-f", "lavfi", "-i", "sine=300:duration=3:sample_rate=22050"]
    subprocess.run(["ffmpeg", "-v", "error", *tone, *options.split(), str(file)], check=True)
    content = file.read_bytes()
    assert inspect(io.BytesIO(content)).warnings == ()
    [warning] = inspect(io.BytesIO(content + content)).warnings
    assert warning.kind is WarningKind.TRAILING_BYTES
    assert warning.missing_s is None or warning.missing_s == pytest.approx(3.0, rel=0.2)


JUNK = {
    "a reply of a web server": b"HTTP/1.0 200 OK\r\nContent-Type: audio/mpeg\r\n\r\n",
    "a page": b"<html><body>" + b"The server is busy, please wait. " * 60,
    "noise": np.random.default_rng(3).bytes(100_000),
    "much text": b"Nobody speaks here. " * 100_000,
    "one byte": b"\n",
    "a byte order mark": b"\xef\xbb\xbf",
}


@needs_ffmpeg
@pytest.mark.parametrize("suffix", ["mp3", "mp2", "aac", "ac3", "eac3", "dts", "flac"])
def test_bytes_in_front_of_the_audio_cost_nothing(suffix: str, tmp_path: Path) -> None:
    file = tmp_path / f"one.{suffix}"
    tone = ["-f", "lavfi", "-i", "sine=300:duration=3:sample_rate=48000"]
    options = ["-strict", "-2"] if suffix == "dts" else []
    subprocess.run(["ffmpeg", "-v", "error", *tone, *options, str(file)], check=True)
    content = file.read_bytes()
    for name, junk in JUNK.items():
        found = inspect(io.BytesIO(junk + content))
        assert found.duration_s == pytest.approx(3.0, abs=0.15), name
        # FFmpeg may skip a short stretch itself. Then it is told as damaged packets or not at all.
        assert not any(warning.missing_s for warning in found.warnings), name
    [warning] = inspect(io.BytesIO(JUNK["much text"] + content)).warnings
    assert (warning.kind, warning.missing_s) == (WarningKind.BYTES_SKIPPED, 0.0)
    assert int(warning.detail.split()[0]) == pytest.approx(len(JUNK["much text"]), abs=100)


def test_what_is_no_audio_stays_none() -> None:
    generator = np.random.default_rng(4)
    syncs = [b"\xff\xfb\x90\x64", b"\xff\xf1\x50\x80", b"\x0b\x77", b"\x7f\xfe\x80\x01", b"fLaC"]
    for number in range(40):
        size = int(generator.choice([2_000, 50_000, 400_000]))
        content = bytearray(generator.bytes(size))
        for at in generator.integers(0, size - 4, 30):  # many false beginnings
            sync = syncs[number % len(syncs)]
            content[at : at + len(sync)] = sync
        with pytest.raises(Rejected):
            inspect(io.BytesIO(bytes(content)))
