"""What a decoder process may still open, connect to and start: it tries."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest

from nightscribe.audio.confinement import worker_confinement
from nightscribe.audio.containers import CODECS, opened
from nightscribe.audio.operations import Decoding, Inspection, Trial
from nightscribe.audio.workers import Workers
from nightscribe.errors import Rejected
from tests.audio.crashes import PRYING, crash_decoders


def trial() -> Any:
    with Workers(1, Trial()) as workers:
        workers.submit(io.BytesIO(b"trial"))
        [(_, tried)] = workers.finished(wait_for_one=True)
    return tried


@pytest.mark.parametrize("operation", [Inspection(), Decoding()])
def test_a_worker_reaches_nothing_but_its_job(
    operation: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    crash_decoders(tmp_path, monkeypatch)
    monkeypatch.setenv("LC_ALL", "C.UTF-8")
    with Workers(1, operation) as workers:
        workers.submit(io.BytesIO(PRYING))
        [(_, outcome)] = workers.finished(wait_for_one=True)
    assert isinstance(outcome, Rejected)
    found = json.loads(outcome.detail)
    assert found.pop("environment") == {}
    assert found.pop("memory") == "MemoryError"
    assert found.pop("descriptors") == "OSError"
    if not trial()["seccomp"]:
        pytest.skip(f"only the limits were checked: no seccomp, {trial()['seccomp_error']}")
    assert found.pop("thread") == "RuntimeError"
    assert set(found.values()) == {"PermissionError"}


def test_landlock_alone_denies_files_where_the_kernel_has_it() -> None:
    tried = trial()
    if tried["landlock_abi"] is None:
        pytest.skip(f"no Landlock: {tried['landlock_error']}")
    assert tried["landlock_abi"] >= 1
    assert not tried["files"]


def test_a_person_is_told_what_a_worker_may_do() -> None:
    found = worker_confinement()
    assert found.file_system.startswith("no access (")
    assert found.network.startswith("no access (")
    assert "2 GiB" in found.limits


def test_only_audio_decoders_are_listed_and_all_of_them_exist() -> None:
    kinds = {av.codec.Codec(name, "r").type for name in CODECS.split(",")}
    assert kinds == {"audio"}


@pytest.mark.parametrize(
    ("container", "codec"), [("matroska", "ffv1"), ("matroska", "mpeg4"), ("avi", "magicyuv")]
)
def test_the_sound_of_a_video_is_decoded_and_its_pictures_are_not(
    container: str, codec: str
) -> None:
    content = io.BytesIO()
    with av.open(content, "w", format=container) as out:
        pictures = out.add_stream(codec, rate=25)
        pictures.width = pictures.height = 64  # type: ignore[attr-defined]
        pictures.pix_fmt = "gbrp" if codec == "magicyuv" else "yuv420p"  # type: ignore[attr-defined]
        sound = out.add_stream("ac3", rate=48_000)
        for index in range(25):
            picture = av.VideoFrame.from_ndarray(
                np.full((96, 64), index, np.uint8), format="yuv420p"
            ).reformat(format=pictures.pix_fmt)  # type: ignore[attr-defined]
            picture.pts = index
            out.mux(pictures.encode(picture))  # type: ignore[attr-defined]
            frame = av.AudioFrame.from_ndarray(
                np.zeros((1, 1920), np.float32), format="fltp", layout="mono"
            )
            frame.sample_rate, frame.pts = 48_000, index * 1920
            out.mux(sound.encode(frame))  # type: ignore[attr-defined]
        out.mux(pictures.encode(None))  # type: ignore[attr-defined]
        out.mux(sound.encode(None))  # type: ignore[attr-defined]
    with Workers(1, Inspection()) as workers:
        workers.submit(content)
        [(_, outcome)] = workers.finished(wait_for_one=True)
    assert not isinstance(outcome, Rejected)
    assert outcome.info.codec == "ac3"
    assert outcome.duration_s == pytest.approx(1.0, abs=0.1)
    content.seek(0)
    with opened(content) as recording:
        # A decoder would have found the format of the pixels.
        assert recording.container.streams.video[0].codec_context.pix_fmt is None
