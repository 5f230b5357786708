"""Ctrl-C and SIGTERM end a command within a second, whatever it is doing.

Both raise an exception in the main thread, so that files are closed and processes are ended. Native
code, such as a query or a matrix product, may keep that thread from it. A second thread, which the
signal wakes at once, ends the queries and, if that was not enough, the process. Every commit is
atomic, so nothing that a reader sees is half written.
"""

from __future__ import annotations

import contextlib
import os
import signal
import threading
from collections.abc import Iterator
from types import FrameType
from typing import NoReturn

from nightscribe.interruption import interrupt_queries

__all__ = ["Ending", "ended_by_signals"]

_PATIENCE_S = 0.8  # until the process is ended
_AGAIN_S = 0.05  # an interrupted command may begin another query
_WORDS = {signal.SIGINT: "interrupted", signal.SIGTERM: "terminated"}


class Ending:
    """The signal that has come, if one has."""

    def __init__(self) -> None:
        self.signal: signal.Signals | None = None

    @property
    def word(self) -> str:
        """What to print."""
        return _WORDS[self.signal or signal.SIGINT]

    @property
    def code(self) -> int:
        """The exit code, as of a program that the signal ends: 130 for Ctrl-C, 143 for SIGTERM."""
        return 128 + (self.signal or signal.SIGINT)


@contextlib.contextmanager
def ended_by_signals() -> Iterator[Ending]:
    """While the block runs, SIGINT and SIGTERM raise `KeyboardInterrupt`, or end the process.

    Only the main thread can have handlers; in another one, this does nothing.
    """
    ending = Ending()
    if threading.current_thread() is not threading.main_thread():
        yield ending
        return

    def handler(number: int, frame: FrameType | None) -> NoReturn:
        ending.signal = signal.Signals(number)
        raise KeyboardInterrupt

    # A shell starts programs in the background with SIGINT ignored, and `nohup` with SIGHUP.
    heard = [one for one in _WORDS if signal.getsignal(one) is not signal.SIG_IGN]
    before = {one: signal.signal(one, handler) for one in heard}
    reading, writing = os.pipe()
    os.set_blocking(writing, False)
    wakeup = signal.set_wakeup_fd(writing, warn_on_full_buffer=False)
    done = threading.Event()
    watcher = threading.Thread(target=_watch, args=(reading, ending, done), daemon=True)
    watcher.start()
    try:
        yield ending
    finally:
        done.set()
        signal.set_wakeup_fd(wakeup)
        for one, former in before.items():
            signal.signal(one, former)
        os.close(writing)  # the watcher reads the end, and closes the other end


def _watch(reading: int, ending: Ending, done: threading.Event) -> None:
    with open(reading, "rb", buffering=0) as pipe:
        while received := pipe.read(1):
            if received[0] not in _WORDS or done.is_set():
                continue
            ending.signal = signal.Signals(received[0])
            waited = 0.0
            while not done.wait(_AGAIN_S):
                interrupt_queries()
                waited += _AGAIN_S
                if waited >= _PATIENCE_S:
                    with contextlib.suppress(OSError, ValueError):
                        os.write(2, f"{ending.word}\n".encode())
                    os._exit(ending.code)
