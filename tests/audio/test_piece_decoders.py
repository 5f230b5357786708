"""Processes that decode for listeners: isolated, few, and none of them costs another recording."""

from __future__ import annotations

import json
import socket
from collections import deque
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import pytest

from nightscribe.audio.piece_decoders import PIECE_BYTES, Encoded, PieceDecoders, _answer
from nightscribe.audio.worker_process import Worker
from nightscribe.audio.workers import Crashed
from nightscribe.errors import Rejected
from tests.audio.crashes import CRASHING, KILLED, PRYING, crash_decoders
from tests.audio.files import wav


def recording(content: bytes, duration_s: float = 1.0) -> Encoded:
    return Encoded(len(content), duration_s, lambda at, count: content[at : at + count])


def tone(number: int, seconds: int = 1) -> bytes:
    return np.full(16_000 * seconds, number, np.int16).tobytes()


@pytest.fixture
def decoders() -> Iterator[PieceDecoders]:
    made = PieceDecoders(1)
    yield made
    made.close()


def test_many_recordings_share_a_process(decoders: PieceDecoders) -> None:
    recordings = [recording(wav(tone(number))) for number in range(20)]
    for _ in range(2):
        for number, one in enumerate(recordings):
            assert decoders.towards(one, 0) == (0, tone(number))
        pids = {process._worker.process.pid for process in decoders._processes if process._worker}
        assert len(pids) == 1


@pytest.mark.parametrize("content", [CRASHING, KILLED])
def test_a_crash_costs_one_recording(
    content: bytes, decoders: PieceDecoders, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    crash_decoders(tmp_path, monkeypatch)
    good = recording(wav(tone(7, 12)), 12.0)
    assert decoders.towards(good, 0) == (0, tone(7, 10))
    with pytest.raises(Crashed, match="exit status"):
        decoders.towards(recording(content), 0)
    found = [decoders.towards(good, 1) for _ in range(2)]
    assert found[-1] == (1, tone(7, 2))


def test_the_process_reaches_nothing(
    decoders: PieceDecoders, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    crash_decoders(tmp_path, monkeypatch)
    with pytest.raises(Rejected) as caught:
        decoders.towards(recording(PRYING), 0)
    found = json.loads(caught.value.detail)
    assert found.pop("environment") == {}
    assert found.pop("memory") == "MemoryError"
    assert found.pop("descriptors") == "OSError"
    if found.pop("thread") != "RuntimeError":
        pytest.skip("only the limits were checked: no seccomp")
    assert set(found.values()) == {"PermissionError"}


def test_bytes_that_cannot_be_read_are_no_end_of_the_recording(decoders: PieceDecoders) -> None:
    content = wav(tone(1, 60))

    def read_at(at: int, count: int) -> bytes:
        if at > 1_000_000:
            raise OSError(5, "the disk is broken")
        return content[at : at + count]

    broken = Encoded(len(content), 60.0, read_at)
    assert decoders.towards(broken, 0) == (0, tone(1, 10))
    with pytest.raises(Rejected, match="the disk is broken"):
        deque((decoders.towards(broken, number) for number in range(6)), maxlen=0)
    assert decoders.towards(broken, 0) == (0, tone(1, 10))


def test_a_process_that_was_ended_is_started_again(decoders: PieceDecoders) -> None:
    one = recording(wav(tone(3)))
    decoders.towards(one, 0)
    worker = decoders._processes[0]._worker
    assert worker is not None
    worker.process.kill()
    worker.process.wait()
    assert decoders.towards(one, 0) == (0, tone(3))


@pytest.mark.parametrize(
    "packets",
    [
        [b"no JSON"],
        [b"[1]"],
        [b"1"],
        [b"[" * 60_000],
        [b'{"read": [99, 10]}'],
        [b'{"read": [-1, 10]}'],
        [b'{"read": [0.0, 10]}'],
        [b'{"read": [0, 1000000000]}'],
        [b'{"done": [3, 0]}'],
        [b'{"done": [-1, 0]}'],
        [b'{"done": [0, 3]}'],
        [b'{"done": [0, -2]}'],
        [b'{"done": [0, %d]}' % (PIECE_BYTES + 2)],
        [b'{"done": [0, 2]}', b"four"],
        [b'{"done": "x"}'],
        [b'{"rejected": ["no reason", "x"]}'],
    ],
)
def test_what_a_hostile_process_says_is_checked(packets: list[bytes]) -> None:
    ours, its = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    with ours, its:
        for packet in packets:
            its.send(packet)
        worker: Any = SimpleNamespace(pipe=ours)
        with pytest.raises((ValueError, TypeError, KeyError, RecursionError)):
            _answer(cast(Worker, worker), recording(bytes(99)), 2)
