"""Compare our audio decoding with `whisper.load_audio` in every format; prints a Markdown table.

    python tools/compare_audio.py SPEECH.flac

Encodes the given recording in each format with PyAV, decodes it with `nightscribe.audio.decode`
and with the ffmpeg command that openai-whisper runs, and prints the difference in length,
the largest difference of a sample in units of the last bit (1/32768), and the share of
samples that differ. Needs the `ffmpeg` command. docs/audio.md has a result.
"""

from __future__ import annotations

import argparse
import signal
import subprocess
import tempfile
from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
from av.audio.frame import AudioFrame
from av.audio.resampler import AudioResampler
from av.audio.stream import AudioStream
from numpy.typing import NDArray


@dataclass(frozen=True)
class Case:
    """A format to encode a recording in."""

    name: str
    suffix: str
    muxer: str
    codec: str
    sample_format: str
    rate: int  # Hz
    layout: str = "mono"
    video: bool = False  # with a video stream


CASES = (
    Case("WAV, 16-bit, 16 kHz mono", "wav", "wav", "pcm_s16le", "s16", 16_000),
    Case("FLAC, 16-bit, 16 kHz mono", "flac", "flac", "flac", "s16", 16_000),
    Case("WAV, 8-bit, 8 kHz mono", "wav", "wav", "pcm_u8", "u8", 8_000),
    Case("WAV, µ-law, 8 kHz mono", "wav", "wav", "pcm_mulaw", "s16", 8_000),
    Case("WAV, 16-bit, 11.025 kHz stereo", "wav", "wav", "pcm_s16le", "s16", 11_025, "stereo"),
    Case("WAV, 16-bit, 16 kHz stereo", "wav", "wav", "pcm_s16le", "s16", 16_000, "stereo"),
    Case("WAV, 16-bit, 22.05 kHz mono", "wav", "wav", "pcm_s16le", "s16", 22_050),
    Case("WAV, 16-bit, 44.1 kHz stereo", "wav", "wav", "pcm_s16le", "s16", 44_100, "stereo"),
    Case("WAV, 16-bit, 48 kHz 5.1", "wav", "wav", "pcm_s16le", "s16", 48_000, "5.1"),
    Case("WAV, 24-bit, 16 kHz mono", "wav", "wav", "pcm_s24le", "s32", 16_000),
    Case("WAV, 24-bit, 48 kHz stereo", "wav", "wav", "pcm_s24le", "s32", 48_000, "stereo"),
    Case("WAV, 32-bit, 48 kHz stereo", "wav", "wav", "pcm_s32le", "s32", 48_000, "stereo"),
    Case("WAV, float, 16 kHz mono", "wav", "wav", "pcm_f32le", "flt", 16_000),
    Case("WAV, float, 44.1 kHz stereo", "wav", "wav", "pcm_f32le", "flt", 44_100, "stereo"),
    Case("FLAC, 24-bit, 48 kHz 5.1", "flac", "flac", "flac", "s32", 48_000, "5.1"),
    Case("AIFF, 16-bit, 44.1 kHz stereo", "aiff", "aiff", "pcm_s16be", "s16", 44_100, "stereo"),
    Case("MP3, 16 kHz mono", "mp3", "mp3", "libmp3lame", "fltp", 16_000),
    Case("MP3, 44.1 kHz stereo", "mp3", "mp3", "libmp3lame", "fltp", 44_100, "stereo"),
    Case("OGG Vorbis, 44.1 kHz stereo", "ogg", "ogg", "libvorbis", "fltp", 44_100, "stereo"),
    Case("OGG Opus, 48 kHz mono", "opus", "ogg", "libopus", "flt", 48_000),
    Case("OGG Opus, 48 kHz stereo", "opus", "ogg", "libopus", "flt", 48_000, "stereo"),
    Case("M4A, AAC 16 kHz mono", "m4a", "mp4", "aac", "fltp", 16_000),
    Case("M4A, AAC 44.1 kHz stereo", "m4a", "mp4", "aac", "fltp", 44_100, "stereo"),
    Case("AAC (ADTS), 44.1 kHz stereo", "aac", "adts", "aac", "fltp", 44_100, "stereo"),
    Case("MP4, video + AAC 48 kHz stereo", "mp4", "mp4", "aac", "fltp", 48_000, "stereo", True),
    Case("MP4, video + AAC 48 kHz 5.1", "mp4", "mp4", "aac", "fltp", 48_000, "5.1", True),
    Case("WebM, Opus 48 kHz stereo", "webm", "webm", "libopus", "flt", 48_000, "stereo"),
    Case("WebM, Vorbis 44.1 kHz stereo", "webm", "webm", "libvorbis", "fltp", 44_100, "stereo"),
    Case("Matroska, video + AC-3 5.1", "mkv", "matroska", "ac3", "fltp", 48_000, "5.1", True),
    Case("WMA, 44.1 kHz stereo", "wma", "asf", "wmav2", "fltp", 44_100, "stereo"),
    Case("AU, µ-law, 8 kHz mono", "au", "au", "pcm_mulaw", "s16", 8_000),
    Case("3GP, AAC 16 kHz mono", "3gp", "3gp", "aac", "fltp", 16_000),
    Case("CAF, 16-bit, 48 kHz stereo", "caf", "caf", "pcm_s16le", "s16", 48_000, "stereo"),
    Case("WavPack, 44.1 kHz stereo", "wv", "wv", "wavpack", "s16p", 44_100, "stereo"),
    Case(
        "MPEG-TS, video + MP2 48 kHz stereo", "ts", "mpegts", "mp2", "s16", 48_000, "stereo", True
    ),
    Case(
        "AVI, video + MP3 44.1 kHz stereo",
        "avi",
        "avi",
        "libmp3lame",
        "fltp",
        44_100,
        "stereo",
        True,
    ),
)


@dataclass(frozen=True)
class Difference:
    """Difference of two decodings of one file, sample by sample from the start."""

    samples: int  # length of ours minus length of theirs
    largest: float  # largest difference over the common length, in units of 1/32768
    share: float  # share of different samples over the common length


def compare(ours: NDArray[np.float32], theirs: NDArray[np.float32]) -> Difference:
    """Compare two arrays of shape (n,) and (m,)."""
    common = min(len(ours), len(theirs))
    gap = np.abs(ours[:common] - theirs[:common])
    return Difference(
        len(ours) - len(theirs),
        float(gap.max(initial=0.0)) * 32_768,
        float(np.count_nonzero(gap)) / max(common, 1),
    )


def encode(speech: NDArray[np.float32], rate: int, case: Case, path: Path) -> Path:
    """Encode mono `speech`, shape (n,), in a format. Each channel is quieter and later.

    The ffmpeg command encodes what PyAV has no encoder for.
    """
    layout = av.AudioLayout(case.layout)
    channels = np.zeros((layout.nb_channels, len(speech)), dtype=np.float32)
    for channel in range(layout.nb_channels):
        delay = channel * rate // 100  # 10 ms
        channels[channel, delay:] = speech[: len(speech) - delay] * 0.8**channel
    if case.codec in av.codecs_available:
        _encode_with_pyav(channels, rate, case, path)
    else:
        wav = replace(case, muxer="wav", codec="pcm_f32le", sample_format="flt")
        source = path.with_suffix(".source.wav")
        _encode_with_pyav(channels, rate, wav, source)
        command = ["ffmpeg", "-nostdin", "-v", "error", "-y", "-i", str(source)]
        subprocess.run([*command, "-c:a", case.codec, str(path)], check=True)
        source.unlink()
    return path


def _encode_with_pyav(channels: NDArray[np.float32], rate: int, case: Case, path: Path) -> None:
    frame = AudioFrame.from_ndarray(channels, format="fltp", layout=case.layout)
    frame.sample_rate, frame.time_base, frame.pts = rate, Fraction(1, rate), 0
    with av.open(str(path), "w", format=case.muxer) as container:
        stream = container.add_stream(case.codec, rate=case.rate, layout=case.layout)
        assert isinstance(stream, AudioStream)
        stream.codec_context.format = case.sample_format
        stream.codec_context.bit_rate = 64_000 if case.layout == "mono" else 192_000
        picture = container.add_stream("mpeg4", rate=25) if case.video else None
        if picture is not None:
            picture.width, picture.height, picture.pix_fmt = 64, 64, "yuv420p"
            for index in range(25 * channels.shape[1] // rate):
                shade = np.full((64, 64, 3), index % 256, dtype=np.uint8)
                container.mux(picture.encode(av.VideoFrame.from_ndarray(shade, format="rgb24")))
            container.mux(picture.encode(None))
        container.start_encoding()  # opens the encoders, which sets their frame size
        resampler = AudioResampler(
            case.sample_format,
            case.layout,
            case.rate,
            frame_size=stream.codec_context.frame_size or None,
        )
        for piece in (*resampler.resample(frame), *resampler.resample(None)):
            if piece is not None:
                container.mux(stream.encode(piece))
        container.mux(stream.encode(None))


def read(path: Path) -> tuple[NDArray[np.float32], int]:
    """Samples of a recording, mixed to mono, shape (n,), and its sample rate in Hz."""
    with av.open(str(path)) as container:
        frames = list(container.decode(audio=0))
    resampler = AudioResampler("flt", "mono", frames[0].sample_rate)
    pieces = [piece.to_ndarray()[0] for frame in frames for piece in resampler.resample(frame)]
    return np.concatenate(pieces), frames[0].sample_rate


def main() -> None:
    from whisper.audio import load_audio

    from nightscribe.audio.decode import decode

    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("speech", help="a recording of speech, 44.1 kHz or more")
    path = Path(parser.parse_args().speech)
    speech, rate = read(path)

    version = subprocess.run(["ffmpeg", "-version"], capture_output=True, text=True, check=True)
    print(
        version.stdout.splitlines()[0], "| PyAV", av.__version__, "FFmpeg", av.ffmpeg_version_info
    )
    print()
    print("| format | samples more | largest difference | samples that differ |")
    print("| --- | ---: | ---: | ---: |")
    with tempfile.TemporaryDirectory() as folder:
        files = [(path.name, path)]
        for number, case in enumerate(CASES):
            target = Path(folder) / f"{number}.{case.suffix}"
            files.append((case.name, encode(speech, rate, case, target)))
        for name, file in files:
            difference = compare(decode(file).samples, load_audio(str(file)))
            print(
                f"| {name} | {difference.samples:+d} | {difference.largest:g} "
                f"| {difference.share:.3%} |"
            )


if __name__ == "__main__":
    # A reader such as `head` that goes away ends it, as it ends other programs.
    signal.signal(signal.SIGPIPE, signal.SIG_DFL)
    main()
