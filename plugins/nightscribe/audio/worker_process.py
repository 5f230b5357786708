"""A worker process as seen from the one that started it."""

from __future__ import annotations

import contextlib
import os
import re
import signal
import socket
import subprocess
import sys
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

__all__ = ["Worker", "environment"]

# Small recordings are sent ahead, so that a worker need not wait for the next. Few enough that the
# packets fit into the socket's buffer, of 208 KiB by default; and fewer where each has a file open
# to write to, since open files are few, too.
_AHEAD_JOBS = 16
_AHEAD_WRITING_JOBS = 2
_AHEAD_BYTES = 2 * INLINE_BYTES

# What decoding may depend on. Above all no credentials: a decoder that a file takes over should
# find nothing to take along.
_ENVIRONMENT = re.compile(
    r"PATH|TMPDIR|TEMP|TMP|TZ|LANG|LANGUAGE|LC_\w+|LD_LIBRARY_PATH|LD_PRELOAD"
    r"|GLIBC_TUNABLES|MALLOC_\w+"
    r"|PYTHON(HOME|UTF8|WARNINGS|FAULTHANDLER|DONTWRITEBYTECODE|PYCACHEPREFIX|NOUSERSITE)"
)

# numpy's libraries start a thread for each core as soon as they are imported; no worker needs them.
_ONE_THREAD = dict.fromkeys(["OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"], "1")


class Worker:
    """A process, and the recordings that it has been sent, in that order.

    A fresh interpreter, not a fork of this one, whose threads and device would not survive that;
    and not one of multiprocessing's, which would run the main program's file again.
    """

    def __init__(self, cpu_s: int) -> None:
        """Start it. Raises `NightscribeError` if that is not possible."""
        self.pipe, other = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with other:
            try:
                self.process = subprocess.Popen(
                    # Without -P, -m puts the working folder first on Python's path.
                    [sys.executable, "-P", "-m", "nightscribe.audio.worker_program", str(cpu_s)],
                    stdin=other.fileno(),
                    stdout=2,  # what it prints; answers go through the pipe
                    env=environment(os.environ, sys.path),
                )
            except OSError as error:
                self.pipe.close()
                raise NightscribeError(
                    f"no process could be started to decode audio: {error.strerror}"
                ) from error
        self.ready = False
        self.recordings: deque[Recording] = deque()
        self.ahead_bytes = 0  # that it has been sent and not answered for

    @property
    def exit_status(self) -> str:
        """Of a process that has ended, in words if a signal ended it: `-9 (signal 9, Killed)`."""
        status = self.process.returncode
        if status >= 0:
            return str(status)
        return f"{status} (signal {-status}, {signal.strsignal(-status)})"

    @property
    def alive(self) -> bool:
        return self.process.poll() is None

    def has_room_for(self, operation: Operation[Any], recording: Recording) -> bool:
        """Whether it has nothing to do, or so little that more may be sent ahead."""
        jobs = _AHEAD_WRITING_JOBS if operation.writes else _AHEAD_JOBS
        return not self.recordings or (
            len(self.recordings) < jobs and self.ahead_bytes + recording.size <= _AHEAD_BYTES
        )

    def send(self, operation: Operation[Any], recording: Recording) -> None:
        """Send a recording. If the worker is gone, that is seen when its answer is read."""
        if operation.writes and recording.out is None:
            with explain_full_disk():
                recording.out = cast(BinaryIO, TemporaryFile())  # noqa: SIM115
        self.recordings.append(recording)
        self.ahead_bytes += recording.size
        with contextlib.suppress(ConnectionError):
            send_job(self.pipe, operation, recording.content, recording.out)

    def receive(self) -> bytes | None:
        """The next answer; empty if the worker has ended, None if there is none yet."""
        while True:
            try:
                return self.pipe.recv(ANSWER_BYTES, socket.MSG_DONTWAIT)
            except BlockingIOError:
                return None
            except ConnectionResetError:
                # It ended with jobs unread. The answers before that can still be read.
                continue

    def answered(self) -> Recording:
        """The recording that the answer just received is about."""
        recording = self.recordings.popleft()
        self.ahead_bytes -= recording.size
        return recording

    def end(self) -> None:
        """End the process. One that has ended by itself keeps its exit status."""
        self.process.kill()
        self.pipe.close()
        self.process.wait()


def environment(given: Mapping[str, str], path: Sequence[str]) -> dict[str, str]:
    """A worker's environment variables: some of those given, and where Python finds modules.

    `path` is this process's `sys.path`. The working folder is left out of it: whatever lies there
    is not to be imported. Where the library itself lies there, it comes last.
    """
    here = os.path.realpath(os.getcwd())
    folders = [os.path.abspath(folder) for folder in path if os.path.realpath(folder) != here]
    library = str(Path(nightscribe.__file__).parents[1])
    if library not in folders:
        folders.append(library)
    kept = {name: value for name, value in given.items() if _ENVIRONMENT.fullmatch(name)}
    return {**kept, **_ONE_THREAD, "PYTHONPATH": os.pathsep.join(folders)}
