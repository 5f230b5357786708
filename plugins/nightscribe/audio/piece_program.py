"""The program of a process that decodes pieces for listeners, and its protocol.

It is confined like a worker, and gets no open file either: it asks its parent for the bytes that it
needs. So it decodes what lies in a bucket, or is being decompressed, without a copy of the whole.
Packets go over the socket pair in turns:

- The parent sends a wish, JSON: which recording, and which piece of it.
- The process asks for bytes, JSON, and gets `+` and the bytes, or `-` and an error; as often as it
  needs.
- It sends an answer as `read_answer` takes it: the number of a piece, and how many bytes of samples
  follow in packets of up to `PACKET_BYTES`.

It keeps several recordings open, so that a listener's next piece needs no beginning.
"""

from __future__ import annotations

import errno
import io
import json
import socket
import sys
from collections import OrderedDict
from functools import partial
from typing import Any, BinaryIO, cast

from nightscribe.audio.pieces import Pieces
from nightscribe.audio.worker_program import (
    answer_of,
    confined,
    limit_file_size,
    limit_processor_time,
    trials,
)
from nightscribe.file_slice import RandomAccessFile

__all__ = ["PACKET_BYTES", "main"]

PACKET_BYTES = 96 * 1024
"""Of bytes or samples. A socket's buffer holds two packets of this size."""

_MOST_OPEN = 16  # recordings; one that was closed is opened again when it is wished for
_IDLE_S = 600.0  # the process ends when nobody listens


class _FileOfParent(RandomAccessFile):
    """A file whose bytes the parent gives."""

    def __init__(self, pipe: socket.socket, size: int) -> None:
        super().__init__(size)
        self._pipe = pipe

    def read_at(self, position: int, count: int) -> bytes:
        count = min(count, PACKET_BYTES, max(0, self.size - position))
        if not count:
            return b""
        self._pipe.send(json.dumps({"read": [position, count]}).encode())
        answer = self._pipe.recv(PACKET_BYTES + 1)
        if not answer:
            raise ConnectionResetError
        if answer[:1] != b"+":
            raise OSError(errno.EIO, answer[1:].decode())
        return answer[1:]


def main(cpu_s: int) -> None:
    """Answer wishes until the parent closes the socket; each may take `cpu_s` s of CPU time."""
    with confined(_warm_up) as pipe:
        limit_file_size(0)
        recordings: OrderedDict[int, Pieces] = OrderedDict()
        while (packet := _next(pipe)) is not None:
            wish = json.loads(packet)
            limit_processor_time(cpu_s)
            samples = b""

            def decode(wish: dict[str, Any] = wish) -> list[int]:
                nonlocal samples
                number, piece = _pieces(recordings, pipe, wish).towards(wish["piece"])
                samples = piece.tobytes()
                return [number, len(samples)]

            answer = answer_of(decode)
            if "done" not in answer:
                _drop(recordings, wish["recording"])
            pipe.send(json.dumps(answer).encode())
            for start in range(0, len(samples), PACKET_BYTES):
                pipe.send(samples[start : start + PACKET_BYTES])


def _next(pipe: socket.socket) -> bytes | None:
    """The next wish; None if the parent has closed the socket, or has none for a long time."""
    pipe.settimeout(_IDLE_S)
    try:
        return pipe.recv(PACKET_BYTES) or None
    except TimeoutError:
        return None
    finally:
        pipe.settimeout(None)


def _pieces(
    recordings: OrderedDict[int, Pieces], pipe: socket.socket, wish: dict[str, Any]
) -> Pieces:
    key = wish["recording"]
    if key not in recordings:
        file = io.BufferedReader(_FileOfParent(pipe, wish["size"]), PACKET_BYTES)
        recordings[key] = Pieces(cast(BinaryIO, file), wish["duration_s"])
        while len(recordings) > _MOST_OPEN:
            _drop(recordings, next(iter(recordings)))
    recordings.move_to_end(key)
    return recordings[key]


def _drop(recordings: OrderedDict[int, Pieces], key: int) -> None:
    dropped = recordings.pop(key, None)
    if dropped is not None:
        dropped.close()


def _warm_up() -> None:
    for content in trials():
        pieces = Pieces(io.BytesIO(content), 0.2)
        for number in (0, 99):
            json.dumps(answer_of(partial(pieces.towards, number)), default=str)


if __name__ == "__main__":
    main(int(sys.argv[1]))
