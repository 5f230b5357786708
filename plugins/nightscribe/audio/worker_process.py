"""Start a worker process, send it recordings, receive its answers."""

from __future__ import annotations

import math
import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections import deque
from collections.abc import Mapping, Sequence
from pathlib import Path
from tempfile import TemporaryFile
from typing import Any, BinaryIO, cast

import nightscribe
from nightscribe.audio.contents import Recording
from nightscribe.audio.operations import Operation
from nightscribe.audio.worker_program import ANSWER_BYTES, INLINE_BYTES, send_job
from nightscribe.errors import NightscribeError, explain_full_disk

__all__ = ["Worker", "environment", "time_limit_s"]

# Small recordings are sent ahead, so that a worker does not wait for the next one. Their packets
# must fit into the socket's buffer, which has 208 KiB by default. The limit is lower for operations
# that write, since each recording then has an open file.
_AHEAD_JOBS = 16
_AHEAD_WRITING_JOBS = 2
_AHEAD_BYTES = 2 * INLINE_BYTES

_TIME_LIMIT_S = 300.0
_BYTES_PER_S = 50_000.0

# Variables that the interpreter may need to start. Credentials must not be among them: a malicious
# file may take control of a decoder. The worker removes them all before its first job.
_ENVIRONMENT = re.compile(
    r"TMPDIR|LANG|LC_\w+|LD_LIBRARY_PATH|LD_PRELOAD"
    r"|GLIBC_TUNABLES|MALLOC_\w+"
    r"|PYTHON(HOME|UTF8|WARNINGS|FAULTHANDLER|DONTWRITEBYTECODE|PYCACHEPREFIX|NOUSERSITE)"
)

# numpy's libraries start one thread per core when they are imported; workers do not need them.
_ONE_THREAD = dict.fromkeys(["OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"], "1")


def time_limit_s(size_bytes: int) -> float:
    """Seconds that a recording may take, with waiting: 5 minutes, and 1 s per 50 kB.

    24 hours of speech at 6 kbit/s are 65 MB and decode in some minutes.
    """
    return _TIME_LIMIT_S + size_bytes / _BYTES_PER_S


class Worker:
    """A worker process, and the recordings that were sent to it, in that order.

    The worker is a new interpreter. A fork is not safe in a process with threads and a CUDA
    context. `multiprocessing` would run the file of the main program again.
    """

    def __init__(self, cpu_s: int, program: str = "worker_program") -> None:
        """Start a program of this package. Raises `NightscribeError` if the system refuses."""
        self.pipe, other = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with other:
            try:
                self.process = subprocess.Popen(
                    # Without -P, -m puts the working folder first on Python's path.
                    [sys.executable, "-P", "-m", f"nightscribe.audio.{program}", str(cpu_s)],
                    stdin=other.fileno(),
                    stdout=2,  # to standard error; answers are sent over the socket
                    env=environment(os.environ, sys.path),
                    # Ctrl-C is for this process: it ends the workers. A worker that is starting
                    # would end first, and pass for one that cannot start.
                    start_new_session=True,
                )
            except OSError as error:
                self.pipe.close()
                raise NightscribeError(
                    f"cannot start a decoder process: {error.strerror}"
                ) from error
        self.ready = False
        self.recordings: deque[Recording] = deque()
        self.ahead_bytes = 0  # of encoded audio that it has not answered for
        self.deadline = math.inf  # time.monotonic() at which its present recording is given up
        self.overdue: Recording | None = None  # it was killed for this one

    @property
    def exit_status(self) -> str:
        """The exit status of an ended process, such as `1` or `-9 (signal 9, Killed)`."""
        status = self.process.returncode
        if status >= 0:
            return str(status)
        return f"{status} (signal {-status}, {signal.strsignal(-status)})"

    @property
    def alive(self) -> bool:
        return self.process.poll() is None

    def has_room_for(self, operation: Operation[Any], recording: Recording) -> bool:
        """Whether it is idle, or another recording may be sent ahead."""
        jobs = _AHEAD_WRITING_JOBS if operation.writes else _AHEAD_JOBS
        return not self.recordings or (
            len(self.recordings) < jobs and self.ahead_bytes + recording.size <= _AHEAD_BYTES
        )

    def send(self, operation: Operation[Any], recording: Recording) -> None:
        """Send a recording. If the worker has ended, `receive` reports it, not this method.

        Raises `NightscribeError` if the system refuses, for example for want of descriptors.
        """
        self.recordings.append(recording)
        self.ahead_bytes += recording.size
        if len(self.recordings) == 1:
            self.start_clock()
        try:
            if operation.writes and recording.out is None:
                with explain_full_disk():
                    recording.out = cast(BinaryIO, TemporaryFile())  # noqa: SIM115
            send_job(self.pipe, operation, recording.content, recording.out)
        except ConnectionError:
            pass
        except OSError as error:
            # It is a fault of the machine: the recording must not be rejected for it.
            raise NightscribeError(
                f"cannot hand a recording to a decoder process: {error.strerror}"
            ) from error

    def receive(self) -> bytes | None:
        """The next answer; b"" if the worker has ended, None if no answer is ready."""
        while True:
            try:
                return self.pipe.recv(ANSWER_BYTES, socket.MSG_DONTWAIT)
            except BlockingIOError:
                return None
            except ConnectionResetError:
                # It ended with unread jobs. Its earlier answers can still be read.
                continue

    def answered(self) -> Recording:
        """Remove and return the recording of the answer that was just received."""
        recording = self.recordings.popleft()
        self.ahead_bytes -= recording.size
        self.start_clock()
        return recording

    def start_clock(self) -> None:
        """Give the recording that is decoded next its time."""
        self.deadline = math.inf
        if self.ready and self.recordings:
            self.deadline = time.monotonic() + time_limit_s(self.recordings[0].size)

    def end(self) -> None:
        """Kill the process. A process that has already ended keeps its exit status."""
        self.process.kill()
        self.pipe.close()
        self.process.wait()


def environment(given: Mapping[str, str], path: Sequence[str]) -> dict[str, str]:
    """A worker's environment: the variables of `given` that it may need, and `PYTHONPATH`.

    `path` is this process's `sys.path`. The working folder is removed, so that no file in it can be
    imported. If this library is in the working folder, the folder is added again as the last one.
    """
    here = os.path.realpath(os.getcwd())
    folders = [os.path.abspath(folder) for folder in path if os.path.realpath(folder) != here]
    library = str(Path(nightscribe.__file__).parents[1])
    if library not in folders:
        folders.append(library)
    kept = {name: value for name, value in given.items() if _ENVIRONMENT.fullmatch(name)}
    return {**kept, **_ONE_THREAD, "PYTHONPATH": os.pathsep.join(folders)}
