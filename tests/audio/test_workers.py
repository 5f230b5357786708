"""Audio is decoded in other processes, and a process that dies takes one recording with it."""

from __future__ import annotations

import array
import errno
import fcntl
import io
import os
import signal
import subprocess
import sys
import tempfile
import termios
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest

from nightscribe.audio.decode import decode
from nightscribe.audio.workers import (
    Decoders,
    Outcome,
    Samples,
    decode_to,
)
from nightscribe.errors import NightscribeError, Reason, Rejected
from tests.nights import SAMPLES

CLIPS = [
    SAMPLES / name
    for name in ("english/en-01.flac", "english/en-02.mp3", "german/de-03.ogg", "german/de-05.m4a")
]


@pytest.fixture
def decoders() -> Iterator[Decoders]:
    made = Decoders(2)
    yield made
    made.close()


def collected(decoders: Decoders) -> dict[int, Outcome]:
    found: dict[int, Outcome] = {}
    while decoders.pending:
        found.update(decoders.finished(wait_for_one=True))
    return found


def test_samples_are_those_of_decoding_here(decoders: Decoders) -> None:
    numbers = {decoders.submit(str(clip)): clip for clip in CLIPS}
    found = collected(decoders)
    for number, clip in numbers.items():
        outcome = found[number]
        assert isinstance(outcome, Samples)
        expected = decode(clip).samples
        np.testing.assert_array_equal(outcome.samples[:] / np.float32(32768), expected)


def test_files_may_be_closed_once_they_are_handed_in(decoders: Decoders) -> None:
    for clip in CLIPS:
        with clip.open("rb") as file:
            decoders.submit(file)
    assert all(isinstance(outcome, Samples) for outcome in collected(decoders).values())


def test_a_full_folder_is_told_to_a_person() -> None:
    with pytest.raises(NightscribeError, match=r"is full: make room in it, or set TMPDIR"):
        decode_to(Path("/dev/full"), str(CLIPS[0]))


def test_large_files_wait_on_disk(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr("nightscribe.audio.workers._HELD_BYTES", 20_000)
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    here = Decoders(2)
    sizes = [clip.stat().st_size for clip in CLIPS]
    assert min(sizes) < 20_000 < max(sizes)
    for clip in CLIPS:
        with clip.open("rb") as file:
            here.submit(file)
        assert here.waiting_bytes < 20_000 * len(CLIPS)
    assert len(list(tmp_path.rglob("*.encoded"))) == sum(size >= 20_000 for size in sizes)
    found = collected(here)
    assert all(isinstance(outcome, Samples) for outcome in found.values())
    assert list(tmp_path.rglob("*.*")) == []
    here.close()


def test_a_single_recording_needs_no_process() -> None:
    decoders = Decoders(2)
    number = decoders.submit(str(CLIPS[0]))
    before = children()
    [(found, outcome)] = decoders.finished(wait_for_one=True)
    assert found == number
    assert isinstance(outcome, Samples)
    assert children() == before
    decoders.close()


def children() -> set[str]:
    return set(Path(f"/proc/{os.getpid()}/task/{os.getpid()}/children").read_text().split())


@pytest.mark.parametrize("count", [1, 3])
def test_bad_files_are_rejected_with_their_reason(count: int, tmp_path: Path) -> None:
    decoders = Decoders(count)
    empty = decoders.submit(io.BytesIO(b""))
    text = decoders.submit(io.BytesIO(b"no audio at all " * 99))
    missing = decoders.submit(str(tmp_path / "missing.wav"))
    good = decoders.submit(str(CLIPS[0]))
    found = collected(decoders)
    decoders.close()
    reasons = {n: o.reason for n, o in found.items() if isinstance(o, Rejected)}
    assert reasons == {
        empty: Reason.EMPTY_FILE,
        text: Reason.NOT_AUDIO,
        missing: Reason.UNREADABLE,
    }
    assert isinstance(found[good], Samples)


def test_a_killed_process_costs_its_recording_alone(tmp_path: Path) -> None:
    decoders = Decoders(1)
    before = children()
    fifo = tmp_path / "never.wav"
    os.mkfifo(fifo)  # its decoder waits for somebody who writes
    stuck = decoders.submit(str(fifo))
    others = [decoders.submit(str(clip)) for clip in CLIPS]
    [worker] = children() - before
    writer = opened_once_read(fifo)
    os.kill(int(worker), signal.SIGKILL)
    os.close(writer)
    found = collected(decoders)
    decoders.close()
    outcome = found[stuck]
    assert isinstance(outcome, Rejected)
    assert outcome.reason is Reason.UNREADABLE
    assert "exit status -9" in outcome.detail
    assert all(isinstance(found[number], Samples) for number in others)


def opened_once_read(fifo: Path) -> int:
    """A descriptor to write to; there is none before somebody reads."""
    deadline = time.monotonic() + 60
    while True:
        try:
            return os.open(fifo, os.O_WRONLY | os.O_NONBLOCK)
        except OSError as error:
            if error.errno != errno.ENXIO or time.monotonic() > deadline:
                raise
            time.sleep(0.05)


def test_no_recording_is_blamed_for_a_process_that_does_not_start(
    decoders: Decoders, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "executable", "/bin/false")
    for clip in CLIPS:
        decoders.submit(str(clip))
    with pytest.raises(NightscribeError, match="exit status 1 while it started"):
        collected(decoders)


def test_what_is_printed_before_a_process_starts_is_not_taken_for_an_answer(
    decoders: Decoders, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "sitecustomize.py").write_text("print('hello')\n")
    monkeypatch.syspath_prepend(tmp_path)
    for clip in CLIPS:
        decoders.submit(str(clip))
    with pytest.raises(NightscribeError, match="look for a sitecustomize"):
        collected(decoders)


def test_an_answer_that_came_with_the_first_word_is_not_missed() -> None:
    decoders = Decoders(1)
    for clip in CLIPS[:2]:
        decoders.submit(str(clip))
    # Nobody listens while the process starts and decodes.
    [worker] = decoders._workers
    wait_until(lambda: bytes_waiting(worker.answers.fileno()) > 1)
    assert len(collected(decoders)) == 2
    decoders.close()


def bytes_waiting(pipe: int) -> int:
    """What has been written into a pipe and not been read."""
    count = array.array("i", [0])
    fcntl.ioctl(pipe, termios.FIONREAD, count)
    return count[0]


def wait_until(reached: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 60
    while not reached():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def test_nothing_is_left_behind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    before = children()
    decoders = Decoders(2)
    for clip in CLIPS:
        decoders.submit(str(clip))
    next(decoders.finished(wait_for_one=True))
    decoders.close()
    assert list(tmp_path.iterdir()) == []
    assert children() == before


def test_scripts_need_no_guard_around_their_main_program(repository: Path, tmp_path: Path) -> None:
    """As they do with multiprocessing, whose processes run the main program again."""
    script = tmp_path / "script.py"
    script.write_text(
        "from nightscribe.audio.workers import Decoders\n"
        "decoders = Decoders(2)\n"
        f"for clip in {[str(clip) for clip in CLIPS]!r}:\n"
        "    decoders.submit(clip)\n"
        "while decoders.pending:\n"
        "    for number, outcome in decoders.finished(wait_for_one=True):\n"
        "        print(number, len(outcome.samples))\n"
        "decoders.close()\n"
    )
    done = subprocess.run(
        [sys.executable, script],
        env={**os.environ, "PYTHONPATH": str(repository / "plugins")},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    assert len(done.stdout.splitlines()) == len(CLIPS)


def test_a_worker_that_was_taken_while_idle_costs_no_recording() -> None:
    decoders = Decoders(2)
    for _ in range(2):
        for clip in CLIPS[:2]:
            decoders.submit(str(clip))
        assert all(isinstance(outcome, Samples) for outcome in collected(decoders).values())
        for worker in decoders._workers:
            worker.process.kill()
            worker.process.wait()
    decoders.close()
