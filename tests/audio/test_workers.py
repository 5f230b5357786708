"""Audio is decoded in other processes, and a process that dies costs one recording."""

from __future__ import annotations

import array
import fcntl
import io
import os
import signal
import subprocess
import sys
import tarfile
import tempfile
import termios
import time
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TypeVar

import numpy as np
import pytest

from nightscribe.archives.entries import Member
from nightscribe.archives.reading import read_container
from nightscribe.audio import worker_process
from nightscribe.audio.decode import decode, inspect
from nightscribe.audio.operations import Decoding, Inspection
from nightscribe.audio.stored import Samples, decode_to
from nightscribe.audio.workers import Crashed, Workers
from nightscribe.errors import NightscribeError, Reason, Rejected
from nightscribe.settings import ArchiveLimits
from tests.audio.crashes import CRASHING, ENDLESS, KILLED, crash_decoders
from tests.audio.files import wav
from tests.nights import SAMPLES

CLIPS = [
    SAMPLES / name
    for name in ("english/en-01.flac", "english/en-02.mp3", "german/de-03.ogg", "german/de-05.m4a")
]

Result = TypeVar("Result")


@pytest.fixture
def workers() -> Iterator[Workers[Samples]]:
    with Workers(2, Decoding()) as made:
        yield made


def collected(workers: Workers[Result]) -> dict[int, Result | Rejected]:
    found: dict[int, Result | Rejected] = {}
    while workers.pending:
        found.update(workers.finished(wait_for_one=True))
    return found


def tone(number: int) -> bytes:
    """A WAV of 0.1 s that no other number gives."""
    return wav(np.full(1600, number, np.int16).tobytes())


# What comes back


def test_samples_are_those_of_decoding_here(workers: Workers[Samples]) -> None:
    numbers = {workers.submit(str(clip)): clip for clip in CLIPS}
    found = collected(workers)
    for number, clip in numbers.items():
        outcome = found[number]
        assert isinstance(outcome, Samples)
        expected = decode(clip).samples
        np.testing.assert_array_equal(outcome.samples[:] / np.float32(32768), expected)


def test_inspection_finds_what_inspecting_here_finds() -> None:
    cut = CLIPS[0].read_bytes()[:40_000]
    with Workers(2, Inspection()) as workers:
        numbers = {workers.submit(io.BytesIO(content)): content for content in [cut, *contents()]}
        found = collected(workers)
    assert found == {number: inspect(io.BytesIO(content)) for number, content in numbers.items()}
    assert [one.warning is None for one in found.values()].count(False) == 1  # type: ignore[union-attr]


def contents() -> list[bytes]:
    return [clip.read_bytes() for clip in CLIPS]


def test_inspection_rejects_by_its_limits() -> None:
    with Workers(1, Inspection(min_duration_s=0.5, max_duration_s=2.0)) as workers:
        short, good, long = (
            workers.submit(io.BytesIO(wav(bytes(2 * count)))) for count in (1_600, 16_000, 80_000)
        )
        found = collected(workers)
    reasons = {n: o.reason for n, o in found.items() if isinstance(o, Rejected)}
    assert reasons == {short: Reason.TOO_SHORT, long: Reason.TOO_LONG}
    assert good in found


def test_files_may_be_closed_once_they_are_handed_in(workers: Workers[Samples]) -> None:
    for clip in CLIPS:
        with clip.open("rb") as file:
            workers.submit(file)
    found = list(collected(workers).values())
    assert [type(outcome) for outcome in found] == len(CLIPS) * [Samples]


def test_many_small_files_are_sent_ahead_and_each_gets_its_own_answer() -> None:
    with Workers(2, Decoding()) as workers:
        numbers = {workers.submit(io.BytesIO(tone(number))): number for number in range(200)}
        found = collected(workers)
    assert found.keys() == numbers.keys()
    for number, expected in numbers.items():
        outcome = found[number]
        assert isinstance(outcome, Samples)
        assert set(outcome.samples[:].tolist()) == {expected}


def test_members_of_containers_are_read_where_they_lie(tmp_path: Path, stuck: Stuck) -> None:
    clip = SAMPLES / "english" / "en-04.wav"
    with zipfile.ZipFile(tmp_path / "stored.zip", "w") as archive:
        archive.write(CLIPS[0], "first.flac")
        archive.write(clip, "speech.wav")
    with tarfile.open(tmp_path / "plain.tar", "w") as archive:
        archive.add(CLIPS[0], "first.flac")
        archive.add(clip, "speech.wav")
    numbers = []
    for name in ("stored.zip", "plain.tar"):
        for member in read_container((tmp_path / name).as_uri(), ArchiveLimits()):
            assert isinstance(member, Member)
            numbers.append(stuck.workers.submit(member.file))
    assert stuck.workers.waiting_bytes == (0, 0)
    stuck.release()
    found = collected(stuck.workers)
    for number, expected in zip(numbers, 2 * [CLIPS[0], clip], strict=True):
        outcome = found[number]
        assert isinstance(outcome, Samples)
        np.testing.assert_array_equal(
            outcome.samples[:] / np.float32(32768), decode(expected).samples
        )


# Where encoded bytes wait


class Stuck:
    """One worker that is stopped over a recording until `release`: all else waits."""

    def __init__(self) -> None:
        self.workers = Workers(1, Decoding())
        self.workers.submit(io.BytesIO(b""))
        collected(self.workers)
        [self.worker] = self.workers._workers
        self.worker.process.send_signal(signal.SIGSTOP)
        # So large that no other is sent ahead.
        self.number = self.workers.submit(io.BytesIO(b"no audio" * 25_000))

    def release(self) -> None:
        self.worker.process.send_signal(signal.SIGCONT)


@pytest.fixture
def stuck() -> Iterator[Stuck]:
    made = Stuck()
    yield made
    made.workers.close()


def test_what_is_not_on_disk_waits_in_memory_and_is_counted(stuck: Stuck) -> None:
    sizes = [len(content) for content in contents()]
    for content in contents():
        stuck.workers.submit(io.BytesIO(content))
    assert stuck.workers.waiting_bytes == (sum(sizes), 0)
    stuck.release()
    assert isinstance(collected(stuck.workers)[stuck.number], Rejected)
    assert stuck.workers.waiting_bytes == (0, 0)


def test_large_files_wait_on_disk(
    stuck: Stuck, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr("nightscribe.audio.contents.INLINE_BYTES", 10_000)
    monkeypatch.setattr("nightscribe.audio.contents._MEMORY_BYTES", 20_000)
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    sizes = [clip.stat().st_size for clip in CLIPS]
    assert min(sizes) < 20_000 < max(sizes)
    numbers = [stuck.workers.submit(io.BytesIO(content)) for content in contents()]
    assert stuck.workers.waiting_bytes == (
        sum(size for size in sizes if size < 20_000),
        sum(size for size in sizes if size >= 20_000),
    )
    assert len(open_below(tmp_path)) == sum(size >= 20_000 for size in sizes)
    stuck.release()
    found = collected(stuck.workers)
    assert all(isinstance(found[number], Samples) for number in numbers)
    assert list(tmp_path.iterdir()) == []


def test_members_that_were_spooled_to_disk_are_counted_while_they_wait(
    stuck: Stuck, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr("nightscribe.audio.contents.INLINE_BYTES", 10_000)
    monkeypatch.setattr("nightscribe.audio.workers._FULL_DISK_BYTES", 500_000)
    content = wav(bytes(320_000))
    with tarfile.open(tmp_path / "members.tar.gz", "w:gz") as archive:
        for name in ("a.wav", "b.wav"):
            info = tarfile.TarInfo(name)
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
    found = []
    for member in read_container(
        (tmp_path / "members.tar.gz").as_uri(), ArchiveLimits(spool_bytes=1000)
    ):
        assert isinstance(member, Member)
        stuck.workers.submit(member.file)
        found.append((stuck.workers.waiting_bytes, stuck.workers.full))
    size = len(content)
    assert found == [((0, size), False), ((0, 2 * size), True)]
    stuck.release()
    collected(stuck.workers)
    assert stuck.workers.waiting_bytes == (0, 0)


def open_below(folder: Path) -> list[str]:
    """What this process has open of the files of a folder, those without a name, too."""
    links = []
    for descriptor in os.listdir("/proc/self/fd"):
        try:
            links.append(os.readlink(f"/proc/self/fd/{descriptor}"))
        except FileNotFoundError:  # the listing's own
            continue
    return [link for link in links if link.startswith(f"{folder}/") and "(deleted)" in link]


def test_a_file_that_is_written_to_while_it_waits_is_rejected(stuck: Stuck, tmp_path: Path) -> None:
    file = tmp_path / "recorder.wav"
    file.write_bytes(wav(bytes(200_000)))
    with file.open("rb") as opened:
        changed = stuck.workers.submit(opened)
    with file.open("ab") as opened_again:
        opened_again.write(bytes(1_000))
    stuck.release()
    outcome = collected(stuck.workers)[changed]
    assert isinstance(outcome, Rejected)
    assert outcome.reason is Reason.CHANGED


def test_a_full_folder_is_told_to_a_person(monkeypatch: pytest.MonkeyPatch) -> None:
    message = r"is full: make room in it, or set TMPDIR"
    with open("/dev/full", "wb", buffering=0) as full:
        with pytest.raises(NightscribeError, match=message):
            decode_to(full, str(CLIPS[0]))
        monkeypatch.setattr("nightscribe.audio.worker_process.TemporaryFile", lambda: full)
        with Workers(1, Decoding()) as workers:
            workers.submit(str(CLIPS[0]))
            with pytest.raises(NightscribeError, match=message):
                collected(workers)


def test_nothing_is_left_behind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    before, open_files = children(), os.listdir("/proc/self/fd")
    workers = Workers(2, Decoding())
    for clip in CLIPS:
        with clip.open("rb") as file:
            workers.submit(file)
        workers.submit(io.BytesIO(clip.read_bytes()))
        # Not even if this process were killed now.
        assert list(tmp_path.iterdir()) == []
    next(workers.finished(wait_for_one=True))
    workers.close()
    assert list(tmp_path.iterdir()) == []
    assert children() == before
    assert len(os.listdir("/proc/self/fd")) == len(open_files)


def children() -> set[str]:
    return set(Path(f"/proc/{os.getpid()}/task/{os.getpid()}/children").read_text().split())


# What goes wrong


def test_a_single_recording_has_a_process_of_its_own_too(workers: Workers[Samples]) -> None:
    before = children()
    number = workers.submit(str(CLIPS[0]))
    [(found, outcome)] = workers.finished(wait_for_one=True)
    assert found == number
    assert isinstance(outcome, Samples)
    assert len(children() - before) == 1


@pytest.mark.parametrize("count", [1, 3])
def test_bad_files_are_rejected_with_their_reason(count: int, tmp_path: Path) -> None:
    workers = Workers(count, Decoding())
    empty = workers.submit(io.BytesIO(b""))
    text = workers.submit(io.BytesIO(b"no audio at all " * 99))
    with pytest.raises(FileNotFoundError):
        workers.submit(str(tmp_path / "missing.wav"))
    good = workers.submit(str(CLIPS[0]))
    found = collected(workers)
    workers.close()
    reasons = {n: o.reason for n, o in found.items() if isinstance(o, Rejected)}
    assert reasons == {
        empty: Reason.EMPTY_FILE,
        text: Reason.NOT_AUDIO,
    }
    assert not any(isinstance(outcome, Crashed) for outcome in found.values())
    assert isinstance(found[good], Samples)


def test_a_process_that_is_killed_once_costs_nothing(stuck: Stuck) -> None:
    good = stuck.workers.submit(str(CLIPS[0]))
    stuck.worker.process.kill()
    found = collected(stuck.workers)
    outcome = found[stuck.number]
    assert isinstance(outcome, Rejected)
    assert outcome.reason is Reason.NOT_AUDIO
    assert isinstance(found[good], Samples)


def test_a_recording_whose_process_is_killed_twice_is_rejected_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    crash_decoders(tmp_path, monkeypatch)
    with Workers(1, Decoding()) as workers:
        killed = workers.submit(io.BytesIO(KILLED))
        others = [workers.submit(str(clip)) for clip in CLIPS]
        found = collected(workers)
    outcome = found[killed]
    assert isinstance(outcome, Crashed)
    assert outcome.reason is Reason.UNREADABLE
    assert "exit status -9" in outcome.detail
    assert all(isinstance(found[number], Samples) for number in others)


def test_a_crash_costs_its_recording_alone_also_among_those_sent_ahead(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    crash_decoders(tmp_path, monkeypatch)
    with Workers(1, Inspection()) as workers:
        numbers = {
            workers.submit(io.BytesIO(CRASHING if number in {3, 4, 20} else tone(number))): number
            for number in range(40)
        }
        found = collected(workers)
    crashed = {numbers[n]: o for n, o in found.items() if isinstance(o, Rejected)}
    assert crashed.keys() == {3, 4, 20}
    assert found.keys() == numbers.keys()
    for outcome in crashed.values():
        assert isinstance(outcome, Crashed)
        assert outcome.reason is Reason.UNREADABLE
        assert "exit status -11 (signal 11, Segmentation fault)" in outcome.detail


def test_a_decoder_that_does_not_come_to_an_end_is_ended(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    crash_decoders(tmp_path, monkeypatch)
    with Workers(1, Inspection(), cpu_s=2) as workers:
        endless = workers.submit(io.BytesIO(ENDLESS))
        good = workers.submit(io.BytesIO(tone(1)))
        found = collected(workers)
    outcome = found[endless]
    assert isinstance(outcome, Crashed)
    assert "CPU time limit exceeded" in outcome.detail
    assert not isinstance(found[good], Rejected)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_who_ends_a_task_and_all_its_processes_blames_no_recording(
    stuck: Stuck, number: int
) -> None:
    [worker] = stuck.workers._workers
    worker.process.send_signal(number)
    stuck.release()
    outcome = collected(stuck.workers)[stuck.number]
    assert not isinstance(outcome, Crashed)
    assert worker.alive


def test_no_recording_is_blamed_for_a_process_that_does_not_start(
    workers: Workers[Samples], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "executable", "/bin/false")
    for clip in CLIPS:
        workers.submit(str(clip))
    with pytest.raises(NightscribeError, match="exit status 1 while it started"):
        collected(workers)


def test_a_process_that_cannot_be_started_is_told_to_a_person(
    workers: Workers[Samples], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "executable", "/no/such/python")
    with pytest.raises(NightscribeError, match="cannot start a decoder process"):
        workers.submit(str(CLIPS[0]))


def test_what_is_printed_before_a_process_starts_is_not_taken_for_an_answer(
    workers: Workers[Samples],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    (tmp_path / "sitecustomize.py").write_text("print('hello', flush=True)\n")
    monkeypatch.syspath_prepend(tmp_path)
    for clip in CLIPS:
        workers.submit(str(clip))
    found = list(collected(workers).values())
    assert [type(outcome) for outcome in found] == len(CLIPS) * [Samples]
    printed = capfd.readouterr()
    assert (printed.out, "hello" in printed.err) == ("", True)


def test_an_answer_that_came_with_the_first_word_is_not_missed() -> None:
    workers = Workers(1, Decoding())
    for clip in CLIPS[2:]:
        workers.submit(str(clip))
    # Nobody listens while the process starts and decodes.
    [worker] = workers._workers
    wait_until(lambda: bytes_waiting(worker.pipe.fileno()) > len("ready"))
    assert len(collected(workers)) == 2
    workers.close()


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


def test_a_worker_that_was_taken_while_idle_costs_no_recording() -> None:
    workers = Workers(2, Decoding())
    for _ in range(2):
        for clip in CLIPS[:2]:
            workers.submit(str(clip))
        found = list(collected(workers).values())
        assert [type(outcome) for outcome in found] == 2 * [Samples]
        for worker in workers._workers:
            worker.process.kill()
            worker.process.wait()
    workers.close()


# Other programs


def test_scripts_need_no_guard_around_their_main_program(repository: Path, tmp_path: Path) -> None:
    """As they do with multiprocessing, whose processes run the main program again."""
    script = tmp_path / "script.py"
    script.write_text(
        "from nightscribe.audio.operations import Decoding\n"
        "from nightscribe.audio.workers import Workers\n"
        "workers = Workers(2, Decoding())\n"
        f"for clip in {[str(clip) for clip in CLIPS]!r}:\n"
        "    workers.submit(clip)\n"
        "while workers.pending:\n"
        "    for number, outcome in workers.finished(wait_for_one=True):\n"
        "        print(number, len(outcome.samples))\n"
        "workers.close()\n"
    )
    done = subprocess.run(
        [sys.executable, script],
        env={**os.environ, "PYTHONPATH": str(repository / "plugins")},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    assert len(done.stdout.splitlines()) == len(CLIPS)


def test_workers_end_with_the_process_that_started_them(repository: Path) -> None:
    script = (
        "import io, time\n"
        "from nightscribe.audio.operations import Inspection\n"
        "from nightscribe.audio.workers import Workers\n"
        "workers = Workers(2, Inspection())\n"
        "for _ in range(2):\n"
        "    workers.submit(io.BytesIO(b'no audio'))\n"
        "while workers.pending:\n"
        "    list(workers.finished(wait_for_one=True))\n"
        "print(*(worker.process.pid for worker in workers._workers), flush=True)\n"
        "time.sleep(60)\n"
    )
    environment = {**os.environ, "PYTHONPATH": str(repository / "plugins")}
    command = [sys.executable, "-c", script]
    with subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdout is not None
        pids = parent.stdout.readline().split()
        assert len(pids) == 2
        parent.kill()
    wait_until(lambda: not any(is_worker(pid) for pid in pids))


def is_worker(pid: str) -> bool:
    try:
        return b"nightscribe.audio.worker_program" in Path(f"/proc/{pid}/cmdline").read_bytes()
    except FileNotFoundError:
        return False


def test_decoder_that_hangs_is_ended_at_its_time_limit_and_costs_one_recording(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(worker_process, "_TIME_LIMIT_S", 2.0)
    monkeypatch.setattr(worker_process, "_BYTES_PER_S", float("inf"))
    with Workers(1, Decoding()) as workers:
        workers.submit(str(CLIPS[0]))
        collected(workers)
        os.kill(workers._workers[0].process.pid, signal.SIGSTOP)
        hanging = workers.submit(str(CLIPS[1]))
        others = [workers.submit(str(clip)) for clip in CLIPS[2:4]]
        found = collected(workers)
    crashed = found.pop(hanging)
    assert isinstance(crashed, Crashed)
    assert "at its time limit" in crashed.detail
    assert sorted(found) == others
    assert all(isinstance(outcome, Samples) for outcome in found.values())


def test_answer_that_waits_longer_than_the_time_limit_costs_no_recording(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(worker_process, "_TIME_LIMIT_S", 1.0)
    monkeypatch.setattr(worker_process, "_BYTES_PER_S", float("inf"))
    with Workers(1, Decoding()) as workers:
        workers.submit(str(CLIPS[0]))
        collected(workers)
        first = workers.submit(str(CLIPS[1]))
        time.sleep(1.5)  # the engine computes, and receives nothing
        second = workers.submit(str(CLIPS[2]))
        found = collected(workers)
    assert sorted(found) == [first, second]
    assert all(isinstance(outcome, Samples) for outcome in found.values())


def test_time_in_which_the_run_was_stopped_costs_no_recording(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(worker_process, "_TIME_LIMIT_S", 3.0)
    monkeypatch.setattr(worker_process, "_BYTES_PER_S", float("inf"))
    monkeypatch.setattr("nightscribe.audio.workers._LONGEST_WAIT_S", 0.25)
    with Workers(1, Decoding()) as workers:
        workers.submit(str(CLIPS[0]))
        collected(workers)
        pid = workers._workers[0].process.pid
        os.kill(pid, signal.SIGSTOP)
        number = workers.submit(str(CLIPS[1]))
        list(workers.finished(wait_for_one=False))
        time.sleep(4)  # all processes of the run are stopped
        list(workers.finished(wait_for_one=False))
        os.kill(pid, signal.SIGCONT)
        found = collected(workers)
    assert isinstance(found[number], Samples)


def test_time_limit_grows_with_the_size() -> None:
    assert worker_process.time_limit_s(0) == 300
    assert worker_process.time_limit_s(65_000_000) > 1500
