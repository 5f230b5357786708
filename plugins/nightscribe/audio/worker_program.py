"""The program of a worker process, and the protocol for jobs and answers.

A worker's standard input is one end of a `SOCK_SEQPACKET` socket pair. A job is one packet, with
the descriptors of its open files attached; an answer is one packet. What a worker prints goes to
standard error. Answers are JSON, since a pickle can run code in the process that reads it, and the
parent process has credentials.
"""

from __future__ import annotations

import ctypes
import errno
import io
import json
import math
import os
import pickle
import resource
import signal
import socket
import sys
import tempfile
import wave
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from typing import Any, BinaryIO, TypeAlias

from nightscribe.audio import sandbox
from nightscribe.audio.containers import AudioFile
from nightscribe.audio.operations import Decoding, Inspection, Operation
from nightscribe.errors import NightscribeError, Reason, Rejected
from nightscribe.file_slice import FileSlice, open_slice

__all__ = [
    "ANSWER_BYTES",
    "INLINE_BYTES",
    "READY",
    "Content",
    "Exhausted",
    "answer_of",
    "confined",
    "limit_file_size",
    "limit_processor_time",
    "main",
    "read_answer",
    "send_job",
    "trials",
]

INLINE_BYTES = 64 * 1024  # encoded audio up to this size is sent inside the packet
ANSWER_BYTES = 64 * 1024  # limit of an answer; answers are much smaller
READY = b"ready"  # a worker's first packet

Content: TypeAlias = bytes | FileSlice
"""A recording: its encoded bytes, or a slice of an open file. A worker gets no names."""

_PR_SET_PDEATHSIG = 1  # of Linux, include/uapi/linux/prctl.h
_JOB_BYTES = INLINE_BYTES + 16 * 1024
_SAMPLES_BYTES = 7 * 24 * 3600 * 16_000 * 2  # a week of audio


class Exhausted(Exception):
    """A recording has used up what a worker may use; the worker must not go on."""


def send_job(
    pipe: socket.socket, operation: Operation[Any], content: Content, out: BinaryIO | None
) -> None:
    """Send a job, and the file it writes to. Raises `ConnectionError` if the worker has ended."""
    files = []
    if isinstance(content, FileSlice):
        files.append(content.descriptor)
        sent: Any = (content.start, content.size)
    else:
        sent = content
    if out is not None:
        files.append(out.fileno())
    socket.send_fds(pipe, [pickle.dumps((operation, sent, out is not None))], files)


def read_answer(packet: bytes) -> Any:
    """The return value of an operation's `run`, or the `Rejected` that it raised.

    Raises `NightscribeError` if `run` raised one, `Exhausted` if it reached a limit.
    """
    answer = json.loads(packet)
    if "exhausted" in answer:
        raise Exhausted(answer["exhausted"])
    if "stopped" in answer:
        raise NightscribeError(answer["stopped"])
    if "rejected" in answer:
        reason, detail = answer["rejected"]
        return Rejected(Reason(reason), detail)
    return answer["done"]


def main(cpu_s: int) -> None:
    """Run jobs until the parent closes the socket; each may take `cpu_s` seconds of CPU time.

    Before the first job, the process gives up all that decoding does not need: see `sandbox`.
    """
    end_with_parent()
    with confined(_warm_up) as pipe:
        while True:
            with ExitStack() as open_files:
                received = _receive_job(pipe, open_files)
                if received is None:
                    return
                limit_processor_time(cpu_s)
                pipe.send(json.dumps(_answer(*received)).encode())


@contextmanager
def confined(warm_up: Callable[[], None]) -> Iterator[socket.socket]:
    """Confine this process for good; gives the socket to its parent, who is told that it is ready.

    `warm_up` runs before: it does what the process will do, so that all modules are imported. The
    end of the parent ends the block.
    """
    # No core dumps: nothing is written outside the lake and the temporary folder.
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    # To end a task, all of its processes may get the signal. The parent handles it; this process
    # ends when the parent closes the socket.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    with socket.socket(fileno=os.dup(0)) as pipe:
        # For a message about it. Once confined, this process cannot try out folders.
        tempfile.tempdir = os.environ.get("TMPDIR") or "/tmp"
        warm_up()
        sandbox.confine()
        try:
            pipe.send(READY)
        except ConnectionError:  # the parent has ended meanwhile
            sys.exit()
        with suppress(ConnectionError):
            yield pipe


def end_with_parent() -> None:
    """Let the kernel kill this process, also in a recording, when the thread of its parent ends."""
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)


def _receive_job(
    pipe: socket.socket, open_files: ExitStack
) -> tuple[Operation[Any], AudioFile, BinaryIO | None] | None:
    """An operation, its input and its output file; None if the parent has closed the socket."""
    packet, descriptors, _, _ = socket.recv_fds(pipe, _JOB_BYTES, 2)
    if not packet:
        return None
    operation, content, writes = pickle.loads(packet)
    out = open_files.enter_context(os.fdopen(descriptors.pop(), "wb")) if writes else None
    if isinstance(content, tuple):
        [descriptor] = descriptors
        open_files.callback(os.close, descriptor)
        content = open_slice(descriptor, *content)
    else:
        content = io.BytesIO(content)
    return operation, content, out


def _warm_up() -> None:
    """Decode good and bad audio, so that all modules are imported while files can be opened."""
    for content in trials():
        for operation in (Inspection(), Decoding()):
            json.dumps(_answer(operation, io.BytesIO(content), io.BytesIO()))


def trials() -> tuple[bytes, ...]:
    """Good and bad audio to warm up with."""
    good = io.BytesIO()
    with wave.open(good, "wb") as file:
        file.setparams((1, 2, 8_000, 0, "NONE", ""))
        file.writeframes(bytes(3_200))
    return b"", b"no audio", good.getvalue(), good.getvalue()[:999]


def limit_processor_time(cpu_s: int) -> None:
    """Have the kernel end this process (SIGXCPU) if the next job takes too much CPU time."""
    used = resource.getrusage(resource.RUSAGE_SELF)
    soft = math.ceil(used.ru_utime + used.ru_stime) + cpu_s
    _, hard = resource.getrlimit(resource.RLIMIT_CPU)
    if hard == resource.RLIM_INFINITY or soft < hard:
        resource.setrlimit(resource.RLIMIT_CPU, (soft, hard))


def limit_file_size(most: int) -> None:
    """Let the kernel refuse to write a larger file (EFBIG)."""
    _, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(
        resource.RLIMIT_FSIZE, (most if hard == resource.RLIM_INFINITY else min(most, hard), hard)
    )


def _answer(operation: Operation[Any], encoded: AudioFile, out: BinaryIO | None) -> dict[str, Any]:
    limit_file_size(_SAMPLES_BYTES if operation.writes else 0)
    return answer_of(lambda: operation.run(encoded, out))


def answer_of(work: Callable[[], Any]) -> dict[str, Any]:
    """What some work returns or how it ends, as `read_answer` takes it."""
    try:
        return {"done": work()}
    except Rejected as error:
        return {"rejected": (error.reason, error.detail)}
    except NightscribeError as error:
        return {"stopped": str(error)}
    except MemoryError:
        return {"exhausted": f"the memory limit of {sandbox.MEMORY_BYTES / 1024**3:g} GiB"}
    except OSError as error:
        if error.errno == errno.EFBIG:
            return {"exhausted": "the limit of a week of audio"}
        return {"rejected": (Reason.UNREADABLE, str(error) or type(error).__name__)}


if __name__ == "__main__":
    main(int(sys.argv[1]))
