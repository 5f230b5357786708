"""Processes that decode pieces of recordings for listeners: few processes, many recordings."""

from __future__ import annotations

import itertools
import json
import operator
import socket
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field

from nightscribe.audio.piece_program import PACKET_BYTES
from nightscribe.audio.pieces import PIECE_SAMPLES
from nightscribe.audio.worker_process import Worker
from nightscribe.audio.worker_program import ANSWER_BYTES, READY, Exhausted, read_answer
from nightscribe.audio.workers import Crashed
from nightscribe.errors import NightscribeError, Rejected

__all__ = ["PIECE_BYTES", "Encoded", "PieceDecoders"]

PIECE_BYTES = 2 * PIECE_SAMPLES

_START_S = 60.0  # a process takes 0.4 s to start
_ANSWER_S = 120.0  # one piece; to find a place in a file of gigabytes, all of it may be read
_CPU_S = 120

_numbers = itertools.count(1)


@dataclass(frozen=True, eq=False)
class Encoded:
    """A recording to decode.

    Attributes:
        size: of the encoded bytes
        duration_s: of the decoded audio, as it was measured at ingestion
        read_at: gives up to so many bytes from a position; raises `OSError`
    """

    size: int
    duration_s: float
    read_at: Callable[[int, int], bytes]
    number: int = field(default_factory=lambda: next(_numbers))


class PieceDecoders:
    """At most `count` processes, which start when they are needed. Each recording has one of them.

    A process ends when it was not used for 10 minutes.
    """

    def __init__(self, count: int) -> None:
        self._processes = [_Process() for _ in range(count)]

    def towards(self, encoded: Encoded, piece: int) -> tuple[int, bytes]:
        """A piece that is wanted, or one on the way to it: its number, and its 16-bit samples.

        Other recordings have their turn between two calls.

        Raises:
            Rejected: the recording cannot be decoded.
            NightscribeError: the process does not start.
        """
        return self._processes[encoded.number % len(self._processes)].towards(encoded, piece)

    def close(self) -> None:
        """End the processes. A later call starts others."""
        for process in self._processes:
            process.close()


class _Process:
    def __init__(self) -> None:
        self._turn = threading.Lock()
        self._worker: Worker | None = None

    def towards(self, encoded: Encoded, piece: int) -> tuple[int, bytes]:
        with self._turn:
            wish = {
                "recording": encoded.number,
                "size": encoded.size,
                "duration_s": encoded.duration_s,
                "piece": piece,
            }
            worker = self._sent(json.dumps(wish).encode())
            try:
                return _answer(worker, encoded, piece)
            except Rejected:
                raise
            except TimeoutError:
                detail = f"the decoder process gave no answer for {_ANSWER_S:g} s"
            except Exhausted as limit:
                detail = f"the decoder reached {limit}"
            except ConnectionError:
                worker.process.wait()
                detail = f"the decoder process ended with exit status {worker.exit_status}"
            except (ValueError, TypeError, KeyError, RecursionError):
                detail = "the decoder process gave an answer without meaning"
            except BaseException:  # what it says next would be taken for another answer
                self._end()
                raise
            self._end()
            raise Crashed(detail)

    def close(self) -> None:
        with self._turn:
            self._end()

    def _sent(self, wish: bytes) -> Worker:
        """The process, which has got a wish."""
        try:
            worker = self._started()
            worker.pipe.send(wish)
        except ConnectionError:  # it had nothing to do for a long time and is ending
            self._end()
            worker = self._started()
            worker.pipe.send(wish)
        return worker

    def _started(self) -> Worker:
        if self._worker is not None and self._worker.alive:
            return self._worker
        self._end()
        self._worker = worker = Worker(_CPU_S, "piece_program")
        worker.pipe.settimeout(_START_S)
        try:
            if worker.pipe.recv(ANSWER_BYTES) == READY:
                return worker
        except OSError:  # it took too long, or ended with unread packets
            pass
        self._end()
        raise NightscribeError("a decoder process did not start; see its output on standard error")

    def _end(self) -> None:
        if self._worker is not None:
            self._worker.end()
            self._worker = None


def _answer(worker: Worker, encoded: Encoded, piece: int) -> tuple[int, bytes]:
    """Give the process the bytes that it asks for, until it answers a wish."""
    deadline = time.monotonic() + _ANSWER_S
    while True:
        packet = _received(worker.pipe, ANSWER_BYTES, deadline)
        message = json.loads(packet)
        if "read" not in message:
            break
        position, count = map(operator.index, message["read"])
        worker.pipe.send(_bytes_of(encoded, position, count))
    answer = read_answer(packet)
    if isinstance(answer, Rejected):
        raise answer
    number, size = map(operator.index, answer)
    if number not in range(piece + 1) or size not in range(0, PIECE_BYTES + 1, 2):
        raise ValueError
    samples = bytearray()
    while len(samples) < size:
        samples += _received(worker.pipe, PACKET_BYTES, deadline)
    if len(samples) != size:
        raise ValueError
    return number, bytes(samples)


def _received(pipe: socket.socket, size: int, deadline: float) -> bytes:
    """The next packet. Raises `TimeoutError`, or `ConnectionError` if the process has ended."""
    pipe.settimeout(max(0.001, deadline - time.monotonic()))
    if not (packet := pipe.recv(size)):
        raise ConnectionResetError
    return packet


def _bytes_of(encoded: Encoded, position: int, count: int) -> bytes:
    if position not in range(encoded.size) or count not in range(1, PACKET_BYTES + 1):
        raise ValueError
    try:
        return b"+" + encoded.read_at(position, count)
    except OSError as error:
        return b"-" + (error.strerror or type(error).__name__)[:1000].encode()
