"""Chained Ogg files, tags of any size in front, and audio tracks without packets."""

from __future__ import annotations

import io
import subprocess
from collections.abc import Callable
from pathlib import Path

import av
import numpy as np
import pytest
from av.audio.frame import AudioFrame

from nightscribe.audio.decode import blocks, decode, inspect
from nightscribe.errors import WarningKind
from tests.audio.files import needs_ffmpeg, rejection, wav


def ogg(codec: str, rate: int, channels: int, seconds: float = 1.0, pitch: int = 440) -> bytes:
    """A tone as an Ogg file."""
    tone = f"sine=frequency={pitch}:duration={seconds}:sample_rate={rate}"
    command = ["ffmpeg", "-nostdin", "-v", "error", "-f", "lavfi", "-i", tone]
    command += ["-ac", str(channels), "-c:a", codec, "-f", "ogg", "-"]
    return subprocess.run(command, capture_output=True, check=True).stdout


LINKS = {
    "vorbis": [("libvorbis", 44_100, 2), ("libvorbis", 22_050, 1)],
    "opus": [("libopus", 48_000, 1), ("libopus", 48_000, 2)],
    "flac": [("flac", 16_000, 1), ("flac", 44_100, 2)],
    "speex": [("libspeex", 16_000, 1), ("libspeex", 8_000, 1)],
    "codecs": [("flac", 16_000, 1), ("libopus", 48_000, 1), ("libvorbis", 44_100, 1)],
}


@needs_ffmpeg
@pytest.mark.parametrize("links", LINKS.values(), ids=LINKS)
@pytest.mark.parametrize("junk", [b"", b"OggS junk between links"], ids=["clean", "junk"])
def test_every_link_of_a_chained_ogg_is_decoded(
    links: list[tuple[str, int, int]], junk: bytes
) -> None:
    parts = [ogg(*link, pitch=300 + 200 * number) for number, link in enumerate(links)]
    content = junk.join(parts)
    expected = np.concatenate([decode(io.BytesIO(part)).samples for part in parts])
    found = decode(io.BytesIO(content))
    assert len(found.samples) == pytest.approx(len(expected), abs=4)
    np.testing.assert_allclose(found.samples[:16_000], expected[:16_000], atol=1e-3)
    np.testing.assert_allclose(found.samples[-8_000:], expected[-8_000:], atol=2e-2)
    joined = np.concatenate(list(blocks(io.BytesIO(content), block_s=0.7)))
    np.testing.assert_array_equal(joined, found.samples)
    duration_s = inspect(io.BytesIO(content)).duration_s
    assert duration_s == pytest.approx(len(expected) / 16_000, abs=0.001)


@needs_ffmpeg
def test_a_link_that_cannot_be_decoded_is_named_and_the_others_are_used() -> None:
    good = ogg("flac", 16_000, 1)
    bad = ogg("libopus", 48_000, 1).replace(b"OpusHead", b"NopeHead")
    found = inspect(io.BytesIO(good + bad + good))
    assert found.duration_s == pytest.approx(2.0, abs=0.01)
    assert [warning.kind for warning in found.warnings] == [WarningKind.LINK_SKIPPED]
    assert "link 2 of 3: no audio at 1.0 s" in found.warnings[0].detail


@needs_ffmpeg
def test_many_short_links_are_within_the_minimum_and_the_limit_counts_all() -> None:
    content = 50 * ogg("flac", 16_000, 1, 0.05)
    assert inspect(io.BytesIO(content), min_duration_s=0.1).duration_s == pytest.approx(2.5)
    assert "too_long" in str(rejection(content, max_duration_s=2.0))


def tag(size: int) -> bytes:
    """An ID3v2 tag, whose size has 7 bits a byte."""
    return b"ID3\4\0\0" + bytes(size >> shift & 0x7F for shift in (21, 14, 7, 0)) + bytes(size)


@pytest.mark.parametrize(
    "name",
    [
        "FLAC, 16-bit, 16 kHz mono",
        "AAC (ADTS), 44.1 kHz stereo",
        "OGG Vorbis, 44.1 kHz stereo",
        "WAV, 16-bit, 44.1 kHz stereo",
        "MP3, 44.1 kHz stereo",
    ],
)
@pytest.mark.parametrize("sizes", [(3 << 20,), (2_000, 1_200_000)])
def test_tags_of_any_size_do_not_hide_the_audio(
    name: str, sizes: tuple[int, ...], encoded: Callable[[str], Path]
) -> None:
    content = encoded(name).read_bytes()
    tagged = b"".join(map(tag, sizes)) + content
    found, expected = decode(io.BytesIO(tagged)), decode(io.BytesIO(content))
    np.testing.assert_array_equal(found.samples, expected.samples)
    assert found.info.codec == expected.info.codec


@pytest.mark.parametrize("content", [b"plain text\n" * 9000, b"\x89PNG" + bytes(90_000), b"%PDF-1"])
def test_a_tag_does_not_make_audio_of_what_is_none(content: bytes) -> None:
    assert "not_audio" in str(rejection(tag(1_200_000) + content))


@pytest.mark.parametrize("form", ["matroska", "nut", "avi"])
def test_of_an_empty_default_track_the_other_one_is_used(form: str) -> None:
    buffer = io.BytesIO()
    samples = (np.sin(np.arange(16_000) * 0.1) * 9000).astype(np.int16)
    with av.open(buffer, "w", format=form) as container:
        empty = container.add_stream("pcm_s16le", rate=16_000, layout="stereo")
        full = container.add_stream("pcm_s16le", rate=16_000, layout="mono")
        empty.disposition, full.disposition = 1, 0
        frame = AudioFrame.from_ndarray(samples[None], "s16", "mono")
        frame.sample_rate = 16_000
        container.mux(full.encode(frame))
    found = decode(io.BytesIO(buffer.getvalue()))
    np.testing.assert_array_equal(found.samples, decode(io.BytesIO(wav(samples.tobytes()))).samples)
    assert [warning.kind for warning in found.warnings] == [WarningKind.TRACK_EMPTY]
