"""Sound that the mono mix loses is told; the samples are those of the reference all the same."""

from __future__ import annotations

import io
from pathlib import Path

import av
import numpy as np
import pytest
from av.audio.frame import AudioFrame
from numpy.typing import NDArray

from nightscribe import cli
from nightscribe.audio.decode import Inspected, decode, inspect
from nightscribe.errors import WarningKind

RATE = 16_000
SECONDS = 6
RNG = np.random.default_rng(11)


def noise(level: float = 0.1) -> NDArray[np.float64]:
    """Six seconds, as loud as speech."""
    return RNG.normal(0.0, level, RATE * SECONDS)


def encoded(
    *tracks: tuple[str, list[NDArray[np.float64]]], form: str = "matroska", codec: str = "pcm_s16le"
) -> io.BytesIO:
    """A file with these tracks: each a layout, and the samples of its channels."""
    file = io.BytesIO()
    with av.open(file, "w", format=form) as container:
        streams = [container.add_stream(codec, rate=RATE, layout=layout) for layout, _ in tracks]
        for stream, (layout, channels) in zip(streams, tracks, strict=True):
            packed = (np.stack(channels, axis=1) * 32767).clip(-32768, 32767).astype(np.int16)
            for start in range(0, len(packed), 1024):
                frame = AudioFrame.from_ndarray(
                    packed[start : start + 1024].reshape(1, -1), "s16", layout
                )
                frame.sample_rate = RATE
                container.mux(stream.encode(frame))
            container.mux(stream.encode(None))
    file.seek(0)
    return file


def kinds(found: Inspected) -> list[WarningKind]:
    return [warning.kind for warning in found.warnings]


@pytest.mark.parametrize(
    ("form", "codec"), [("matroska", "pcm_s16le"), ("wav", "pcm_s16le"), ("flac", "flac")]
)
@pytest.mark.parametrize("share", [1.0, 0.9])
def test_channels_that_cancel_are_told(form: str, codec: str, share: float) -> None:
    left = noise()
    file = encoded(("stereo", [left, -share * left]), form=form, codec=codec)
    found = inspect(file)
    [warning] = found.warnings
    assert warning.kind is WarningKind.CHANNELS_CANCEL
    assert warning.missing_s == pytest.approx(SECONDS, rel=0.15)
    assert decode(file).warnings == found.warnings
    assert np.abs(decode(file).samples).max() < 0.05  # what Whisper hears: nearly nothing


def test_half_of_a_recording_that_cancels_is_told_with_its_seconds() -> None:
    left = noise()
    right = left.copy()
    right[: len(right) // 2] *= -1
    [warning] = inspect(encoded(("stereo", [left, right]))).warnings
    assert warning.missing_s == pytest.approx(SECONDS / 2, rel=0.2)


@pytest.mark.parametrize(
    ("layout", "channel", "name", "is_missing"),
    [
        ("5.1", 3, "LFE", True),
        ("2.1", 2, "LFE", True),
        ("7.1", 3, "LFE", True),
        ("5.1", 4, "BL", False),
        ("7.1", 7, "SR", False),
        ("10 channels", 9, "10", True),
        ("10 channels", 3, "4", True),
    ],
)
def test_sound_on_a_channel_that_the_mix_weakens_or_leaves_out_is_told(
    layout: str, channel: int, name: str, is_missing: bool
) -> None:
    count = av.AudioLayout(layout).nb_channels
    channels = [np.zeros(RATE * SECONDS) for _ in range(count)]
    channels[channel] = noise()
    [warning] = inspect(encoded((layout, channels), form="wav")).warnings
    assert warning.kind is WarningKind.CHANNEL_LEFT_OUT
    assert f"channel {name}," in warning.detail
    expected = SECONDS if is_missing else 0.0
    assert warning.missing_s == pytest.approx(expected, rel=0.15)


@pytest.mark.parametrize("layout", ["stereo", "5.1", "quad", "7.1"])
def test_sound_that_is_in_the_mix_is_not_told(layout: str) -> None:
    count = av.AudioLayout(layout).nb_channels
    silence = np.zeros(RATE * SECONDS)
    for front in (0, 1):
        channels = [noise() if channel == front else silence for channel in range(count)]
        assert kinds(inspect(encoded((layout, channels), form="wav"))) == []
    assert kinds(inspect(encoded((layout, [noise() for _ in range(count)]), form="wav"))) == []
    assert kinds(inspect(encoded((layout, [noise(1e-4)] * count), form="wav"))) == []
    same = noise()
    delayed = [np.roll(same, 40 * channel) for channel in range(count)]
    assert kinds(inspect(encoded((layout, delayed), form="wav"))) == []


@pytest.mark.parametrize("others", [1, 2, 5])
def test_a_silent_first_track_beside_others_is_told(others: int) -> None:
    silence = np.zeros(RATE * SECONDS)
    tracks = [("mono", [silence])] + [("mono", [noise()]) for _ in range(others)]
    found = inspect(encoded(*tracks))
    assert kinds(found) == [WarningKind.TRACK_SILENT] * others
    for number, warning in enumerate(found.warnings, start=1):
        assert f"stream {number}," in warning.detail
        assert warning.missing_s == pytest.approx(SECONDS, rel=0.15)


def test_tracks_are_compared_only_if_the_first_is_silent() -> None:
    silence = np.zeros(RATE * SECONDS)
    assert kinds(inspect(encoded(("mono", [noise()]), ("mono", [noise()])))) == []
    assert kinds(inspect(encoded(("mono", [silence]), ("mono", [silence])))) == []
    assert kinds(inspect(encoded(("stereo", [silence, silence])))) == []


def test_the_warning_reaches_the_command_line(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    left = noise()
    file = tmp_path / "inverted.wav"
    file.write_bytes(encoded(("stereo", [left, -left]), form="wav").getvalue())
    cli.main(
        [
            "transcribe",
            str(file),
            "--model",
            "demo",
            "--language",
            "en",
            "--output_dir",
            str(tmp_path),
        ]
    )
    assert "channels cancel" in capfd.readouterr().err
