"""The program of a worker process, and how jobs and answers travel to it and back.

A worker's standard input is one end of a socket pair that keeps packets apart: a job is one
packet, with the open files it works on attached, and so is its answer. Nothing else goes that way:
what a worker prints goes to the standard error output. Answers are JSON. A pickle could run code
in the process that reads it, and that one has credentials.
"""

from __future__ import annotations

import io
import json
import math
import os
import pickle
import resource
import signal
import socket
import sys
from contextlib import ExitStack
from typing import Any, BinaryIO, TypeAlias

from nightscribe.audio.containers import AudioFile
from nightscribe.audio.operations import Operation
from nightscribe.errors import NightscribeError, Reason, Rejected
from nightscribe.file_slice import FileSlice, open_slice

__all__ = ["ANSWER_BYTES", "INLINE_BYTES", "READY", "Content", "main", "read_answer", "send_job"]

INLINE_BYTES = 64 * 1024  # a content up to this size travels in the packet itself
ANSWER_BYTES = 64 * 1024  # an answer is much smaller
READY = b"ready"  # a worker's first packet

Content: TypeAlias = bytes | str | FileSlice
"""A recording's bytes, the path of its file, or where they lie in an open file."""

_JOB_BYTES = INLINE_BYTES + 16 * 1024


def send_job(
    pipe: socket.socket, operation: Operation[Any], content: Content, out: BinaryIO | None
) -> None:
    """Send a job, with the file that it writes to. Raises `ConnectionError` if nobody reads it."""
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
    """What an operation's `run` returned, or the `Rejected` that it raised.

    Raises the `NightscribeError` that it raised.
    """
    answer = json.loads(packet)
    if "stopped" in answer:
        raise NightscribeError(answer["stopped"])
    if "rejected" in answer:
        reason, detail = answer["rejected"]
        return Rejected(Reason(reason), detail)
    return answer["done"]


def main(cpu_s: int) -> None:
    """Do jobs until the other end is closed; each may take `cpu_s` seconds of processor time."""
    # Nothing is written outside the lake and the temporary folder, memory images neither.
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    # Whoever ends a task signals all of its processes. The one that sends the jobs decides what
    # becomes of them, and this one ends with it.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    with socket.socket(fileno=os.dup(0)) as pipe:
        try:
            pipe.send(READY)
            while True:
                with ExitStack() as open_files:
                    received = _receive_job(pipe, open_files)
                    if received is None:
                        return
                    _limit_processor_time(cpu_s)
                    pipe.send(json.dumps(_answer(*received)).encode())
        except ConnectionError:  # the other end is gone
            return


def _receive_job(
    pipe: socket.socket, open_files: ExitStack
) -> tuple[Operation[Any], AudioFile, BinaryIO | None] | None:
    """A job, what it reads and what it writes to; None if there are no more."""
    packet, descriptors, _, _ = socket.recv_fds(pipe, _JOB_BYTES, 2)
    if not packet:
        return None
    operation, content, writes = pickle.loads(packet)
    out = open_files.enter_context(os.fdopen(descriptors.pop(), "wb")) if writes else None
    if isinstance(content, tuple):
        [descriptor] = descriptors
        open_files.callback(os.close, descriptor)
        content = open_slice(descriptor, *content)
    elif isinstance(content, bytes):
        content = io.BytesIO(content)
    return operation, content, out


def _limit_processor_time(cpu_s: int) -> None:
    """Have the kernel end this process with SIGXCPU if one recording takes too long."""
    used = resource.getrusage(resource.RUSAGE_SELF)
    soft = math.ceil(used.ru_utime + used.ru_stime) + cpu_s
    _, hard = resource.getrlimit(resource.RLIMIT_CPU)
    if hard == resource.RLIM_INFINITY or soft < hard:
        resource.setrlimit(resource.RLIMIT_CPU, (soft, hard))


def _answer(operation: Operation[Any], encoded: AudioFile, out: BinaryIO | None) -> dict[str, Any]:
    try:
        return {"done": operation.run(encoded, out)}
    except Rejected as error:
        return {"rejected": (error.reason, error.detail)}
    except NightscribeError as error:
        return {"stopped": str(error)}
    except OSError as error:
        return {"rejected": (Reason.UNREADABLE, str(error) or type(error).__name__)}


if __name__ == "__main__":
    main(int(sys.argv[1]))
