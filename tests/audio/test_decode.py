"""Decoding: the samples of the `whisper` command, from any format, whatever the file says."""

from __future__ import annotations

import io
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import av
import numpy as np
import pytest
from numpy.typing import NDArray

from nightscribe.archives.kinds import Kind, kind_of
from nightscribe.audio.containers import probe
from nightscribe.audio.decode import blocks, decode, inspect
from nightscribe.errors import Reason, Rejected, WarningKind
from tests.audio.files import damaged, every_case, needs_ffmpeg, rejection, wav
from tools.compare_audio import Case, compare


@needs_ffmpeg
@pytest.mark.parametrize("source", ["recording", "real_voice"])
def test_flac_is_bit_identical_to_whispers_load_audio(
    source: str, request: pytest.FixtureRequest
) -> None:
    from whisper.audio import load_audio

    path: Path = request.getfixturevalue(source)
    np.testing.assert_array_equal(decode(path).samples, load_audio(str(path)))


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


def test_blocks_joined_are_what_decode_gives(recording: Path) -> None:
    found = list(blocks(recording, block_s=0.7))
    assert {len(block) for block in found[:-1]} == {11_200}
    assert 0 < len(found[-1]) <= 11_200
    np.testing.assert_array_equal(np.concatenate(found), decode(recording).samples)


def test_blocks_return_the_warning_at_their_end(recording: Path) -> None:
    content = recording.read_bytes()
    warnings = []

    def consume() -> Iterator[NDArray[np.float32]]:
        warnings.append((yield from blocks(io.BytesIO(content[: len(content) // 2]))))

    assert len(list(consume())) == 1
    assert warnings[0][-1].kind is WarningKind.CUT_SHORT
    assert warnings[0][-1].missing_s == pytest.approx(5.5, abs=1.0)


def test_blocks_hold_one_block_however_long_the_recording() -> None:
    """A process that decodes two hours block by block stays within some megabytes."""
    script = """
import io, resource, sys
from nightscribe.audio.decode import blocks
from tests.audio.files import wav

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


def test_a_header_without_samples_is_not_audio() -> None:
    rejected = rejection(wav(b""))
    assert rejected.reason is Reason.NOT_AUDIO
    assert "no audio could be decoded" in rejected.detail


def test_importing_starts_no_thread_and_bad_files_print_nothing(
    recording: Path, tmp_path: Path
) -> None:
    (tmp_path / "bad.flac").write_bytes(damaged(recording.read_bytes()))
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
