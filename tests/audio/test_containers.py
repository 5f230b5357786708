"""What is opened as audio, by its content alone, and which stream of it is taken."""

from __future__ import annotations

import io
import re
import shutil
from collections.abc import Callable
from pathlib import Path

import av
import numpy as np
import pytest
from av.audio.frame import AudioFrame

from nightscribe.archives.kinds import AUDIO_SUFFIXES, Kind, kind_of
from nightscribe.audio.containers import CONTAINERS, AudioInfo, probe
from nightscribe.audio.decode import decode, inspect
from nightscribe.errors import Reason, Rejected
from tests.audio.files import needs_ffmpeg, rejection


def test_probe_says_what_ffmpeg_calls_it(recording: Path) -> None:
    assert probe(recording) == AudioInfo("flac", "flac", 44_100, 2, 11.0)


def test_a_telephones_amr_is_read() -> None:
    frame = bytes([0x3C, *[0] * 31])  # 20 ms at 12.2 kbit/s (RFC 4867, section 5.3)
    assert inspect(io.BytesIO(b"#!AMR\n" + 50 * frame)).duration_s == pytest.approx(1.0)
    assert kind_of("call.AMR") is Kind.AUDIO


def test_every_suffix_is_in_the_documentation(repository: Path) -> None:
    page = (repository / "docs" / "audio.md").read_text(encoding="utf-8")
    listed = page.partition("## Which files")[2].partition("\n\nA number or a query")[0]
    assert set(re.findall(r"`(\.\w+)`", listed)) == AUDIO_SUFFIXES


@needs_ffmpeg
def test_of_several_audio_streams_ffmpegs_choice_is_taken(tmp_path: Path) -> None:
    from whisper.audio import load_audio

    tone = np.sin(np.arange(32_000) * 0.1).astype(np.float32)

    def two_streams(path: Path, default: int | None) -> Path:
        with av.open(str(path), "w", format="matroska") as container:
            streams = [
                container.add_stream("pcm_s16le", rate=16_000, layout=layout)
                for layout in ("mono", "stereo")
            ]
            for index, stream in enumerate(streams):
                stream.disposition = int(index == default)
            for index, stream in enumerate(streams):
                samples = (tone * (8000 + 8000 * index)).astype(np.int16).repeat(index + 1)
                frame = AudioFrame.from_ndarray(samples[None], "s16", stream.layout.name)
                frame.sample_rate = 16_000
                container.mux(stream.encode(frame))
        return path

    chosen = []
    for default in (None, 0, 1):
        file = two_streams(tmp_path / f"{default}.mkv", default)
        decoded = decode(file)
        np.testing.assert_array_equal(decoded.samples, load_audio(str(file)))
        chosen.append(decoded.info.channels)
    assert chosen == [2, 1, 2]


def test_zero_bytes_are_an_empty_file() -> None:
    assert rejection(b"").reason is Reason.EMPTY_FILE


@pytest.mark.parametrize("name", ["speech.mp3", "speech.wav", "speech.m4a", "speech.aac"])
def test_text_renamed_to_audio_is_not_audio(name: str, tmp_path: Path) -> None:
    file = tmp_path / name
    file.write_text("The quick brown fox jumps over the lazy dog.\n" * 400)
    with pytest.raises(Rejected) as caught:
        inspect(file)
    assert caught.value.reason is Reason.NOT_AUDIO


def test_noise_is_not_audio() -> None:
    content = np.random.default_rng(1).bytes(200_000)
    assert rejection(content).reason is Reason.NOT_AUDIO


def test_a_video_without_sound_has_no_audio_stream(tmp_path: Path) -> None:
    file = tmp_path / "silent.mp4"
    with av.open(str(file), "w") as container:
        stream = container.add_stream("mpeg4", rate=25)
        stream.width, stream.height, stream.pix_fmt = 64, 64, "yuv420p"
        picture = av.VideoFrame.from_ndarray(np.zeros((64, 64, 3), np.uint8), format="rgb24")
        for _ in range(10):
            container.mux(stream.encode(picture))
        container.mux(stream.encode(None))
    with pytest.raises(Rejected) as caught:
        probe(file)
    assert caught.value.reason is Reason.NO_AUDIO_STREAM
    assert "video" in caught.value.detail


@pytest.mark.parametrize(
    "playlist",
    [
        "#EXTM3U\n#EXT-X-TARGETDURATION:9\n#EXTINF:9,\nrecording.flac\n#EXT-X-ENDLIST\n",
        "ffconcat version 1.0\nfile recording.flac\n",
    ],
    ids=["hls", "concat"],
)
def test_a_playlist_cannot_make_us_read_another_file(
    playlist: str, recording: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(recording.parent)
    file = tmp_path / "speech.mp3"
    file.write_text(playlist)
    with pytest.raises(Rejected) as caught:
        decode(file)
    assert caught.value.reason is Reason.NOT_AUDIO


def test_a_large_cover_picture_does_not_hide_the_audio(encoded: Callable[[str], Path]) -> None:
    content = encoded("MP3, 44.1 kHz stereo").read_bytes()
    picture = b"APIC" + (3 << 20).to_bytes(4, "big") + bytes(2) + b"\0image/jpeg\0\3\0"
    picture = picture.ljust(10 + (3 << 20), b"\x55")
    size = len(picture)
    tag = b"ID3\x03\0\0" + bytes((size >> shift) & 0x7F for shift in (21, 14, 7, 0)) + picture
    decoded = decode(io.BytesIO(tag + content))
    assert decoded.info.codec == "mp3"
    np.testing.assert_array_equal(decoded.samples, decode(io.BytesIO(content)).samples)


def test_a_content_decodes_the_same_under_any_name(recording: Path, tmp_path: Path) -> None:
    expected = decode(recording).samples
    for name in ("a.wav", "b", "two\nlines 🎙️.txt", "http:c"):
        file = tmp_path / name
        shutil.copyfile(recording, file)
        np.testing.assert_array_equal(decode(file).samples, expected)


def test_an_open_file_is_read_from_its_start_and_left_open(recording: Path) -> None:
    with open(recording, "rb") as file:
        file.seek(1000)
        assert inspect(file).duration_s == 11.0
        assert not file.closed


@pytest.mark.parametrize("error", [OSError("the network is gone"), KeyboardInterrupt("stop")])
@pytest.mark.parametrize("after", [0, 1, 40_000, 600_000])
def test_a_read_error_is_itself_and_not_taken_for_the_end(
    recording: Path, after: int, error: BaseException
) -> None:
    class Failing(io.BytesIO):
        def read(self, size: int | None = -1, /) -> bytes:
            if self.tell() >= after:
                raise error
            return super().read(size)

    for use in (decode, inspect):
        with pytest.raises(type(error), match=str(error)):
            use(Failing(recording.read_bytes()))
    # and it does not come up again in a call that has nothing to do with it
    assert inspect(recording).duration_s == 11.0


def test_every_suffix_of_a_format_that_is_opened_is_taken_for_audio() -> None:
    suffixes = {
        f".{extension}"
        for name in CONTAINERS.split(",")
        for extension in av.format.ContainerFormat(name, "r").extensions
    }
    pictures = {".avif", ".heic", ".heif"}
    assert suffixes - AUDIO_SUFFIXES == pictures & suffixes
