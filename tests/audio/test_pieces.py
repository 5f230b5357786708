"""Pieces of a recording lie where a full decoding has them, in every format."""

from __future__ import annotations

import io
import shutil
from pathlib import Path

import av
import numpy as np
import pytest
from numpy.typing import NDArray

from nightscribe.audio import pieces
from nightscribe.audio.decode import decode, inspect
from nightscribe.audio.pieces import PIECE_SAMPLES, Pieces
from nightscribe.audio.samples import SAMPLE_RATE
from tools.compare_audio import Case, encode

RATE = 44_100
SECONDS = 25
TOLERANCE_S = 0.005
NEARBY = SAMPLE_RATE  # samples around a position in which a piece is searched for

SEEKING = (
    Case("AMR", "amr", "amr", "libopencore_amrnb", "s16", 8_000),
    Case("WMA 2", "wma", "asf", "wmav2", "fltp", 44_100),
    Case("WMA 1", "asf", "asf", "wmav1", "fltp", 22_050),
    Case("AIFF, 24-bit", "aiff", "aiff", "pcm_s24be", "s32", 44_100, "stereo"),
    Case("ALAC in MP4", "m4a", "ipod", "alac", "s16p", 44_100),
    Case("ALAC in CAF", "caf", "caf", "alac", "s16p", 44_100),
    Case("AC-3, 48 kHz", "ac3", "ac3", "ac3", "fltp", 48_000),
    Case("AC-3 with video", "mkv", "matroska", "ac3", "fltp", 48_000, video=True),
    Case("E-AC-3", "eac3", "eac3", "eac3", "fltp", 48_000),
    Case("MP2", "mp2", "mp2", "mp2", "s16", 44_100),
    Case("MP2 in MPEG-PS", "mpg", "mpeg", "mp2", "s16", 48_000),
    Case("MP3 in AVI", "avi", "avi", "libmp3lame", "fltp", 44_100, video=True),
    Case("Opus", "opus", "ogg", "libopus", "flt", 48_000),
    Case("Speex", "spx", "ogg", "libspeex", "s16", 16_000),
    Case("GSM", "gsm", "gsm", "libgsm", "s16", 8_000),
    Case("WavPack", "wv", "wv", "wavpack", "s16p", 44_100),
    Case("TTA", "tta", "tta", "tta", "s16", 44_100),
    Case("WAV, A-law", "wav", "wav", "pcm_alaw", "s16", 8_000),
    Case("WAV, G.722", "wav", "wav", "g722", "s16", 16_000),
    Case("WAV, Microsoft ADPCM", "wav", "wav", "adpcm_ms", "s16", 44_100),
    Case("WAV, IMA ADPCM", "wav", "wav", "adpcm_ima_wav", "s16p", 8_000),
    Case("FLV, Nellymoser", "flv", "flv", "nellymoser", "flt", 11_025),
    Case("AAC in ADTS", "aac", "adts", "aac", "fltp", 44_100),
)
ONLY_FORWARD = (
    Case("AC-3, 44.1 kHz: times drift", "ac3", "ac3", "ac3", "fltp", 44_100),
    Case("MPEG-TS whose clock starts anew", "ts", "mpegts", "mp2", "s16", 48_000, video=True),
    Case("RealAudio without an index", "rm", "rm", "real_144", "s16", 8_000),
)


@pytest.fixture(scope="module")
def sound() -> NDArray[np.float32]:
    """Noise whose loudness changes every 100 ms, so that each place differs from all others."""
    generator = np.random.default_rng(3)
    noise = np.convolve(generator.normal(0, 0.2, SECONDS * RATE), np.ones(8) / 8, "same")
    loudness = generator.choice([0.05, 0.2, 1.0], SECONDS * 10).repeat(RATE // 10)
    return (noise * loudness).clip(-0.9, 0.9).astype(np.float32)


@pytest.fixture(autouse=True)
def _short(monkeypatch: pytest.MonkeyPatch) -> None:
    """Jump to the next piece but one, as in a long recording to one some minutes away."""
    monkeypatch.setattr(pieces, "_NEAR", 0)


def distance_s(piece: NDArray[np.int16], at: int, whole: NDArray[np.int16]) -> float:
    """How far from sample `at` a piece really lies, by correlation."""
    first = max(0, at - NEARBY)
    around = whole[first : at + len(piece) + NEARBY].astype(np.float64)
    size = len(around) + len(piece)
    spectrum = np.fft.rfft(around, size) * np.conj(np.fft.rfft(piece.astype(np.float64), size))
    likeness = np.fft.irfft(spectrum, size)[: len(around) - len(piece) + 1]
    return (int(np.argmax(likeness)) - (at - first)) / SAMPLE_RATE


def check(content: bytes, *, jumps: bool | None) -> None:
    """Compare pieces, asked for in an odd order, with the whole."""
    whole = (decode(io.BytesIO(content)).samples * 32768).astype(np.int16)
    made = Pieces(io.BytesIO(content), inspect(io.BytesIO(content)).duration_s)
    asked = []
    for wanted in (2, 1, 2, 0, 1):
        while True:
            number, samples = made.towards(wanted)
            asked.append(number)
            at = number * PIECE_SAMPLES
            assert len(samples) == pytest.approx(len(whole[at : at + PIECE_SAMPLES]), abs=80)
            probe = samples[:SAMPLE_RATE]
            assert abs(distance_s(probe, at, whole)) < TOLERANCE_S, (wanted, number)
            if number == wanted:
                break
    if jumps is not None:
        assert asked[:3] == ([2, 1, 2] if jumps else [0, 1, 2])
    assert [len(part) for part in made.towards(99)[1:]] == [0]
    made.close()


@pytest.mark.parametrize("case", SEEKING, ids=lambda case: case.name)
def test_a_piece_is_decoded_by_itself(
    case: Case, sound: NDArray[np.float32], tmp_path: Path
) -> None:
    check(encoded(sound, case, tmp_path), jumps=True)


@pytest.mark.parametrize("case", ONLY_FORWARD, ids=lambda case: case.name)
def test_where_seeking_gives_wrong_times_all_pieces_before_come_first(
    case: Case, sound: NDArray[np.float32], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # In 25 s, times of 44.1 kHz drift by 5 ms; in 10 hours, by 8 s.
    monkeypatch.setattr("nightscribe.audio.seeking._TOLERANCE_S", 0.002)
    check(encoded(sound, case, tmp_path), jumps=False)


def encoded(sound: NDArray[np.float32], case: Case, folder: Path) -> bytes:
    if case.codec not in av.codecs_available and shutil.which("ffmpeg") is None:
        pytest.skip(f"PyAV has no {case.codec} encoder, and there is no ffmpeg command")
    return encode(sound, RATE, case, folder / f"a.{case.suffix}").read_bytes()


def test_amr_frames_of_many_sizes_are_counted(sound: NDArray[np.float32], tmp_path: Path) -> None:
    """A telephone sends shorter frames where nobody speaks."""
    content = encoded(sound, SEEKING[0], tmp_path)
    head, frames = content[:6], [content[at : at + 32] for at in range(6, len(content), 32)]
    shorter = b"\x04" + bytes(12)  # speech at 4.75 kbit/s
    nothing = b"\x7c"  # no time either: FFmpeg skips it
    kinds = [lambda frame: frame, lambda frame: shorter, lambda frame: frame + nothing]
    mixed = head + b"".join(kinds[n // 5 % 3](frame) for n, frame in enumerate(frames))
    check(mixed, jumps=True)


def test_a_gap_between_time_stamps_moves_nothing(sound: NDArray[np.float32]) -> None:
    content = io.BytesIO()
    with av.open(content, "w", format="matroska") as out:
        stream = out.add_stream("pcm_s16le", rate=RATE, layout="mono")
        for n in range(SECONDS * 10):
            part = (sound[n * RATE // 10 : (n + 1) * RATE // 10] * 32767).astype(np.int16)
            frame = av.AudioFrame.from_ndarray(part[None], format="s16", layout="mono")
            frame.sample_rate, frame.pts = RATE, n * RATE // 10 + (5 * RATE if n > 150 else 0)
            out.mux(stream.encode(frame))
        out.mux(stream.encode(None))
    check(content.getvalue(), jumps=False)


def test_a_chain_of_oggs_is_one_recording(sound: NDArray[np.float32], tmp_path: Path) -> None:
    opus = next(case for case in SEEKING if case.name == "Opus")
    halves = sound[: len(sound) // 2], sound[len(sound) // 2 :]
    check(b"".join(encoded(half, opus, tmp_path) for half in halves), jumps=False)


def test_tags_in_front_are_no_audio(sound: NDArray[np.float32], tmp_path: Path) -> None:
    adts = next(case for case in SEEKING if case.name == "AAC in ADTS")
    tag = b"ID3\4\0\0" + bytes([0, 0, 16, 0]) + bytes(16 << 7)
    check(tag + encoded(sound, adts, tmp_path), jumps=True)


def test_damage_moves_nothing(sound: NDArray[np.float32], tmp_path: Path) -> None:
    """Lost packets count as no time, as in the transcript."""
    wma = next(case for case in SEEKING if case.name == "WMA 2")
    content = bytearray(encoded(sound, wma, tmp_path))
    content[len(content) // 2 : len(content) // 2 + 20_000] = bytes(20_000)
    check(bytes(content), jumps=None)
