"""Decoding: the samples of the `whisper` command, from any format, whatever the file says."""

from __future__ import annotations

import io
import re
import shutil
import struct
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import BinaryIO

import av
import numpy as np
import pytest
from av.audio.frame import AudioFrame
from numpy.typing import NDArray

from nightscribe.archive import AUDIO_SUFFIXES, Kind, kind_of
from nightscribe.audio.decode import AudioInfo, blocks, decode, inspect, probe
from nightscribe.errors import Reason, Rejected
from tools.compare_audio import CASES, Case, compare, encode, read

JFK = Path(__file__).parents[1] / "fixtures" / "jfk.flac"

needs_ffmpeg = pytest.mark.skipif(
    shutil.which("ffmpeg") is None, reason="needs the ffmpeg command, as openai-whisper does"
)
every_case = pytest.mark.parametrize("case", CASES, ids=[case.name for case in CASES])


@pytest.fixture(scope="module")
def speech() -> tuple[NDArray[np.float32], int]:
    samples, rate = read(JFK)
    return samples[rate : 5 * rate], rate


@pytest.fixture(scope="module")
def encoded(
    speech: tuple[NDArray[np.float32], int], tmp_path_factory: pytest.TempPathFactory
) -> Callable[[str | Case], Path]:
    """Four seconds of speech, encoded as the case says; each file is made once."""
    folder = tmp_path_factory.mktemp("audio")
    cases = {case.name: case for case in CASES}

    def file(case: str | Case) -> Path:
        case = cases[case] if isinstance(case, str) else case
        path = folder / f"{''.join(filter(str.isalnum, case.name))}.{case.suffix}"
        if not path.exists():
            if case.codec not in av.codecs_available and shutil.which("ffmpeg") is None:
                pytest.skip(f"PyAV has no {case.codec} encoder, and there is no ffmpeg command")
            encode(*speech, case, path)
        return path

    return file


def wav(samples: bytes, *, rate: int = 16_000, channels: int = 1) -> bytes:
    form = struct.pack("<HHIIHH", 1, channels, rate, 2 * rate * channels, 2 * channels, 16)
    chunks = b"WAVEfmt " + struct.pack("<I", 16) + form + b"data"
    chunks += struct.pack("<I", len(samples)) + samples
    return b"RIFF" + struct.pack("<I", len(chunks)) + chunks


def rejection(content: bytes | BinaryIO, **limits: float) -> Rejected:
    file = io.BytesIO(content) if isinstance(content, bytes) else content
    with pytest.raises(Rejected) as caught:
        decode(file, **limits)
    return caught.value


# The same samples as openai-whisper


def test_16_bit_16_khz_mono_samples_are_kept_exactly() -> None:
    samples = np.random.default_rng(0).integers(-32768, 32768, 50_000, dtype=np.int16)
    decoded = decode(io.BytesIO(wav(samples.tobytes())))
    assert decoded.samples.dtype == np.float32
    np.testing.assert_array_equal(decoded.samples, samples.astype(np.float32) / 32768.0)
    assert decoded.warning is None


@needs_ffmpeg
def test_jfk_is_bit_identical_to_whispers_load_audio() -> None:
    from whisper.audio import load_audio

    np.testing.assert_array_equal(decode(JFK).samples, load_audio(str(JFK)))


@needs_ffmpeg
@every_case
def test_every_format_is_close_to_whispers_load_audio(
    case: Case, encoded: Callable[[Case], Path]
) -> None:
    from whisper.audio import load_audio

    file = encoded(case)
    ours, theirs = decode(file).samples, load_audio(str(file))
    if case.codec == "ac3":
        # Recent FFmpeg drops the encoder's delay of 256 samples at 48 kHz from Matroska.
        assert -86 <= len(ours) - len(theirs) <= 0
        return
    found = compare(ours, theirs)
    assert found.samples == 0
    if case.sample_format.startswith("s16") and case.rate != 16_000:
        # Old FFmpeg resamples these in 16-bit integers, recent FFmpeg in floats.
        assert np.sqrt(np.mean((ours - theirs) ** 2)) * 32_768 < 8
        assert compare(ours, _resampled_in_floats(file)).largest <= 1
    else:
        assert found.largest <= 1
        assert found.share < 0.002


def _resampled_in_floats(file: Path) -> NDArray[np.float32]:
    command = ["ffmpeg", "-nostdin", "-i", str(file), "-af", "aresample=internal_sample_fmt=fltp"]
    command += ["-f", "s16le", "-ac", "1", "-ar", "16000", "-"]
    done = subprocess.run(command, capture_output=True, check=True)
    return np.frombuffer(done.stdout, np.int16).astype(np.float32) / np.float32(32_768)


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


@needs_ffmpeg
def test_a_recording_that_changes_its_sample_rate_midway_is_decoded_to_the_end(
    encoded: Callable[[str], Path], tmp_path: Path
) -> None:
    from whisper.audio import load_audio

    first, second = encoded("MP3, 44.1 kHz stereo"), encoded("MP3, 16 kHz mono")
    joined = tmp_path / "joined.mp3"
    joined.write_bytes(first.read_bytes() + second.read_bytes())
    ours, theirs = decode(joined).samples, load_audio(str(joined))
    assert len(ours) / 16_000 == pytest.approx(8.0, abs=0.2)
    # At the change, ffmpeg drops what its resampler still holds: about two milliseconds.
    assert 0 <= len(ours) - len(theirs) <= 40


# Durations, blocks and limits


@every_case
def test_inspect_finds_the_duration_that_decode_has(
    case: Case, encoded: Callable[[Case], Path]
) -> None:
    file = encoded(case)
    decoded, inspected = decode(file), inspect(file)
    assert inspected.duration_s == pytest.approx(len(decoded.samples) / 16_000, abs=0.001)
    assert inspected.duration_s == pytest.approx(4.0, abs=0.06)
    assert inspected.info == decoded.info == probe(file)
    assert inspected.info.channels == av.AudioLayout(case.layout).nb_channels
    assert inspected.warning is decoded.warning is None
    assert kind_of(file.name) is Kind.AUDIO


def test_every_suffix_is_in_the_documentation(repository: Path) -> None:
    page = (repository / "docs" / "audio.md").read_text(encoding="utf-8")
    listed = page.partition("## Which files")[2].partition("\n\nA single file")[0]
    assert set(re.findall(r"`(\.\w+)`", listed)) == AUDIO_SUFFIXES


def test_a_telephones_amr_is_read() -> None:
    frame = bytes([0x3C, *[0] * 31])  # 20 ms at 12.2 kbit/s (RFC 4867, section 5.3)
    assert inspect(io.BytesIO(b"#!AMR\n" + 50 * frame)).duration_s == pytest.approx(1.0)
    assert kind_of("call.AMR") is Kind.AUDIO


def test_probe_says_what_ffmpeg_calls_it() -> None:
    assert probe(JFK) == AudioInfo("flac", "flac", 44_100, 2, 11.0)


def test_blocks_joined_are_what_decode_gives() -> None:
    found = list(blocks(JFK, block_s=0.7))
    assert {len(block) for block in found[:-1]} == {11_200}
    assert 0 < len(found[-1]) <= 11_200
    np.testing.assert_array_equal(np.concatenate(found), decode(JFK).samples)


def test_blocks_return_the_warning_at_their_end() -> None:
    content = JFK.read_bytes()
    warnings = []

    def consume() -> Iterator[NDArray[np.float32]]:
        warnings.append((yield from blocks(io.BytesIO(content[: len(content) // 2]))))

    assert len(list(consume())) == 1
    assert "cut short" in warnings[0]


def test_blocks_hold_one_block_however_long_the_recording() -> None:
    """A process that decodes two hours block by block stays within some megabytes."""
    script = """
import io, resource, sys
from nightscribe.audio.decode import blocks
from tests.audio.test_decode import wav

class Silence(io.RawIOBase):  # two hours of a WAV file, made as it is read
    head, size, at = wav(b"")[:40] + (230_400_000).to_bytes(4, "little"), 230_400_044, 0
    head = head[:4] + (230_400_036).to_bytes(4, "little") + head[8:]
    def readable(self): return True
    def seekable(self): return True
    def tell(self): return self.at
    def seek(self, offset, whence=0):
        self.at = offset + (0, self.at, self.size)[whence]
        return self.at
    def readinto(self, buffer):
        count = min(len(buffer), self.size - self.at)
        part = self.head[self.at : self.at + count].ljust(count, bytes(1))
        buffer[:count], self.at = part, self.at + count
        return count

list(blocks(io.BytesIO(wav(bytes(64_000)))))
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
count = sum(len(block) for block in blocks(Silence()))
grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
print(count, grown)
"""
    root = Path(__file__).parents[2]
    done = subprocess.run(
        [sys.executable, "-c", script],
        capture_output=True,
        text=True,
        check=True,
        cwd=root,
        env={"PYTHONPATH": "plugins:."},
    )
    count, grown_kib = map(int, done.stdout.split())
    assert count == 2 * 3600 * 16_000
    assert grown_kib < 20_000


def test_too_long_is_found_before_the_whole_is_decoded() -> None:
    class Counting(io.BytesIO):
        served = 0

        def read(self, size: int | None = -1, /) -> bytes:
            content = super().read(size)
            self.served += len(content)
            return content

    file = Counting(wav(bytes(2 * 16_000 * 600)))
    rejected = rejection(file, max_duration_s=5.0)
    assert rejected.reason is Reason.TOO_LONG
    assert "5 s" in rejected.detail
    assert file.served < 2 * 16_000 * 60
    with pytest.raises(Rejected, match="too_long"):
        inspect(io.BytesIO(wav(bytes(2 * 16_000 * 6))), max_duration_s=5.0)


def test_a_recording_of_exactly_the_limits_is_accepted() -> None:
    file = io.BytesIO(wav(bytes(2 * 16_000)))
    assert len(decode(file, min_duration_s=1.0, max_duration_s=1.0).samples) == 16_000


def test_a_twentieth_of_a_second_is_too_short_when_a_minimum_is_set() -> None:
    content = wav(bytes(2 * 800))
    assert len(decode(io.BytesIO(content)).samples) == 800
    rejected = rejection(content, min_duration_s=0.1)
    assert rejected.reason is Reason.TOO_SHORT
    assert "0.050 s" in rejected.detail


# Bad input


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


def test_a_header_without_samples_is_not_audio() -> None:
    rejected = rejection(wav(b""))
    assert rejected.reason is Reason.NOT_AUDIO
    assert "no audio could be decoded" in rejected.detail


@pytest.mark.parametrize("rate", [1, 999, 2**31 - 1])
def test_a_sample_rate_that_would_blow_up_is_refused(rate: int) -> None:
    assert rejection(wav(bytes(20_000), rate=rate)).reason is Reason.NOT_AUDIO


def test_channels_that_cannot_be_mixed_are_refused_by_inspect_and_decode() -> None:
    content = wav(bytes(2 * 63 * 1000), channels=63)
    assert "63 channels" in rejection(content).detail
    with pytest.raises(Rejected, match="not_audio"):
        inspect(io.BytesIO(content))


@pytest.mark.parametrize(
    "playlist",
    [
        "#EXTM3U\n#EXT-X-TARGETDURATION:9\n#EXTINF:9,\njfk.flac\n#EXT-X-ENDLIST\n",
        "ffconcat version 1.0\nfile jfk.flac\n",
    ],
    ids=["hls", "concat"],
)
def test_a_playlist_cannot_make_us_read_another_file(
    playlist: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(JFK.parent)
    file = tmp_path / "speech.mp3"
    file.write_text(playlist)
    with pytest.raises(Rejected) as caught:
        decode(file)
    assert caught.value.reason is Reason.NOT_AUDIO


def damaged(content: bytes, start: float = 0.5, size: int = 3000) -> bytes:
    at = int(len(content) * start)
    return content[:at] + np.random.default_rng(2).bytes(size) + content[at + size :]


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
def test_variable_bit_rate_without_a_header_is_not_taken_for_cut_short(tmp_path: Path) -> None:
    file = tmp_path / "vbr.mp3"
    command = ["ffmpeg", "-nostdin", "-v", "error", "-f", "lavfi", "-i", "anullsrc=r=44100:d=20"]
    command += ["-i", str(JFK), "-filter_complex", "[1:a][0:a]concat=n=2:v=0:a=1", "-q:a", "4"]
    subprocess.run([*command, "-write_xing", "0", str(file)], check=True)
    inspected = inspect(file)
    assert inspected.duration_s == pytest.approx(31.0, abs=0.1)
    assert inspected.info.duration_s != pytest.approx(31.0, abs=3.0)
    assert inspected.warning is None


def test_a_large_cover_picture_does_not_hide_the_audio(encoded: Callable[[str], Path]) -> None:
    content = encoded("MP3, 44.1 kHz stereo").read_bytes()
    picture = b"APIC" + (3 << 20).to_bytes(4, "big") + bytes(2) + b"\0image/jpeg\0\3\0"
    picture = picture.ljust(10 + (3 << 20), b"\x55")
    size = len(picture)
    tag = b"ID3\x03\0\0" + bytes((size >> shift) & 0x7F for shift in (21, 14, 7, 0)) + picture
    decoded = decode(io.BytesIO(tag + content))
    assert decoded.info.codec == "mp3"
    np.testing.assert_array_equal(decoded.samples, decode(io.BytesIO(content)).samples)


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


# Files and their surroundings


def test_a_content_decodes_the_same_under_any_name(tmp_path: Path) -> None:
    expected = decode(JFK).samples
    for name in ("a.wav", "b", "two\nlines 🎙️.txt", "http:c"):
        file = tmp_path / name
        shutil.copyfile(JFK, file)
        np.testing.assert_array_equal(decode(file).samples, expected)


def test_an_open_file_is_read_from_its_start_and_left_open() -> None:
    with open(JFK, "rb") as file:
        file.seek(1000)
        assert inspect(file).duration_s == 11.0
        assert not file.closed


@pytest.mark.parametrize("error", [OSError("the network is gone"), KeyboardInterrupt("stop")])
@pytest.mark.parametrize("after", [0, 1, 40_000, 600_000])
def test_a_read_error_is_itself_and_not_taken_for_the_end(after: int, error: BaseException) -> None:
    class Failing(io.BytesIO):
        def read(self, size: int | None = -1, /) -> bytes:
            if self.tell() >= after:
                raise error
            return super().read(size)

    for use in (decode, inspect):
        with pytest.raises(type(error), match=str(error)):
            use(Failing(JFK.read_bytes()))
    # and it does not come up again in a call that has nothing to do with it
    assert inspect(JFK).duration_s == 11.0


def test_importing_starts_no_thread_and_bad_files_print_nothing(tmp_path: Path) -> None:
    (tmp_path / "bad.flac").write_bytes(damaged(JFK.read_bytes()))
    script = """
import os, sys
sys.path[:0] = ["plugins"]
from nightscribe.audio.decode import inspect
assert os.environ.get("OPENBLAS_NUM_THREADS") == "1"  # numpy's own threads
assert len(os.listdir("/proc/self/task")) == 1, os.listdir("/proc/self/task")
assert inspect(sys.argv[1]).warning
assert len(os.listdir("/proc/self/task")) == 1
"""
    done = subprocess.run(
        [sys.executable, "-c", script, str(tmp_path / "bad.flac")],
        capture_output=True,
        text=True,
        cwd=Path(__file__).parents[2],
        env={"OPENBLAS_NUM_THREADS": "1"},
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
