"""What a decoder process may still open, connect to and start: it tries."""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
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


CONFINED = """
import json, os, socket, subprocess, sys, threading
from pathlib import Path
from nightscribe.audio.sandbox import confine_to

read, write, other = map(Path, sys.argv[1:])
confined = confine_to(read=[read, Path("/proc/self/cgroup")], write=[write])
found = {"landlock": confined.landlock_abi, "seccomp": confined.seccomp}
ways = {
    "read": lambda: (read / "file").read_text(),
    "list": lambda: os.listdir(read),
    "cgroup": lambda: Path("/proc/self/cgroup").read_text(),
    "write": lambda: ((write / "new").mkdir(), (write / "new" / "file").write_text("x")),
    "remove": lambda: ((write / "new" / "file").unlink(), (write / "new").rmdir()),
    "thread": lambda: threading.Thread(target=lambda: None).start(),
    "write where it reads": lambda: (read / "new").write_text("x"),
    "overwrite": lambda: (read / "file").open("r+"),
    "remove where it reads": lambda: (read / "file").unlink(),
    "move into reach": lambda: (other / "file").rename(write / "file"),
    "other": lambda: (other / "file").read_text(),
    "through a thread": lambda: in_thread(),
    "link": lambda: (write / "link").symlink_to(other / "file"),
    "network": lambda: socket.socket(),
    "program": lambda: subprocess.run(["true"]),
    "process": lambda: os.fork(),
    "environment of others": lambda: Path(f"/proc/{os.getppid()}/environ").read_bytes(),
}

def in_thread():
    failed = []
    def run():
        try:
            (other / "file").read_text()
        except OSError as error:
            failed.append(error)
    thread = threading.Thread(target=run)
    thread.start()
    thread.join()
    if failed:
        raise failed[0]

for name, way in ways.items():
    try:
        way()
        found[name] = True
    except OSError:
        found[name] = False
print(json.dumps(found))
"""


def test_a_process_can_be_confined_to_folders(tmp_path: Path) -> None:
    for name in ("read", "write", "other"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "file").write_text("content")
    done = subprocess.run(
        [sys.executable, "-c", CONFINED, *(tmp_path / name for name in ("read", "write", "other"))],
        check=True,
        capture_output=True,
        text=True,
        env={"PYTHONPATH": os.pathsep.join(sys.path)},
        timeout=60,
    )
    found = json.loads(done.stdout)
    if not found.pop("seccomp") or not found.pop("landlock"):
        pytest.skip("the kernel lacks Landlock or seccomp")
    possible = {name for name, did in found.items() if did}
    assert possible == {"read", "list", "cgroup", "write", "remove", "thread"}
