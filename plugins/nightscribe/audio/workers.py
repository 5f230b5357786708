"""Decode recordings in worker processes, so that a file that crashes FFmpeg costs only that file.

An untrusted file may crash FFmpeg, use up the memory or never finish. So ingestion and
transcription decode in worker processes. If a worker dies, the recording that it was decoding is
rejected, and another worker takes over the rest.

A worker gets the descriptor of an open file (also of a file inside an uncompressed zip or tar), or
the bytes of a small one. It writes samples to an unnamed temporary file. So no file is left if any
of the processes is killed.
"""

from __future__ import annotations

import math
import selectors
import signal
import time
from collections import deque
from collections.abc import Iterator, Sequence
from types import TracebackType
from typing import BinaryIO, Generic, Self, TypeVar

from nightscribe.audio.contents import Recording
from nightscribe.audio.operations import Operation
from nightscribe.audio.worker_process import Worker
from nightscribe.audio.worker_program import Exhausted, read_answer
from nightscribe.errors import NightscribeError, Reason, Rejected

__all__ = ["Crashed", "Workers", "run_one"]

_FULL_MEMORY_BYTES = 256 * 1024**2
_FULL_DISK_BYTES = 2 * 1024**3
_LONGEST_WAIT_S = 10.0
_CPU_S = 3600  # seconds of CPU time per recording; 24 hours of audio take a few minutes

Result = TypeVar("Result")


class Crashed(Rejected):
    """A recording that a worker died on, or that reached a limit. Another attempt would, too."""

    def __init__(self, detail: str) -> None:
        super().__init__(Reason.UNREADABLE, detail)


class Workers(Generic[Result]):
    """A pool of at most `count` worker processes that run one operation; started as needed.

    `cpu_s` is the limit of CPU time per recording, in seconds.
    """

    def __init__(self, count: int, operation: Operation[Result], *, cpu_s: int = _CPU_S) -> None:
        self._count = count
        self._operation = operation
        self._cpu_s = cpu_s
        self._number = 0
        self._queue: deque[Recording] = deque()
        self._workers: list[Worker] = []
        self._selector = selectors.DefaultSelector()
        self._checked = time.monotonic()  # when time limits were last compared with the clock

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    @property
    def pending(self) -> int:
        """Number of recordings that were submitted and have no result yet."""
        return len(self._queue) + sum(len(worker.recordings) for worker in self._workers)

    @property
    def waiting_bytes(self) -> tuple[int, int]:
        """Copied bytes of recordings that no worker has yet: in memory, in the temporary folder.

        A recording on disk that is read in place counts as nothing.
        """
        return (
            sum(recording.memory_bytes for recording in self._queue),
            sum(recording.disk_bytes for recording in self._queue),
        )

    @property
    def full(self) -> bool:
        """Whether the copies that wait take so much space that no more should be submitted.

        The limits are 256 MiB of memory and 2 GiB of the temporary folder.
        """
        memory_bytes, disk_bytes = self.waiting_bytes
        return memory_bytes > _FULL_MEMORY_BYTES or disk_bytes > _FULL_DISK_BYTES

    def submit(self, encoded: BinaryIO | str) -> int:
        """Submit a recording, as an open file or a path; returns its number.

        The file may be closed afterwards. Raises `OSError` if it cannot be opened or read.
        """
        self._number += 1
        self._queue.append(Recording.of(self._number, encoded))
        self._assign()
        return self._number

    def finished(self, *, wait_for_one: bool) -> Iterator[tuple[int, Result | Rejected]]:
        """Yield the number and result of each finished recording.

        With `wait_for_one`, waits until at least one is finished.

        Raises `NightscribeError` if a worker does not start, or the temporary folder is full.
        """
        self._assign()
        while self.pending:
            found = False
            ready = [key.data for key, _ in self._selector.select(self._patience(wait_for_one))]
            self._end_overdue(ready)
            for worker in ready:
                while worker in self._workers and (answer := worker.receive()) is not None:
                    outcome = self._outcome(worker, answer)
                    self._assign()
                    if outcome is not None:
                        found = True
                        yield outcome
            if found or not wait_for_one:
                return

    def close(self) -> None:
        """Kill all workers, busy or not, and drop all recordings."""
        for worker in list(self._workers):
            for recording in self._remove(worker):
                recording.close()
        for recording in self._queue:
            recording.close()
        self._queue.clear()
        self._selector.close()

    def _patience(self, wait_for_one: bool) -> float:
        """Seconds to wait for an answer: at most until the next time limit of a recording."""
        if not wait_for_one:
            return 0.0
        now = time.monotonic()
        left = [worker.deadline - now for worker in self._workers]
        return max(0.0, min([*left, _LONGEST_WAIT_S]))

    def _end_overdue(self, ready: Sequence[Worker]) -> None:
        """Kill the workers whose recording has reached its time limit.

        A worker that is `ready` has answered. Its answer may have waited for this call longer than
        the time limit, and it may have begun the next recording. While this process is stopped
        (Ctrl-Z, a paused virtual machine), its workers most likely are, too: that time is no part
        of any recording's.
        """
        now = time.monotonic()
        stopped_s = max(0.0, now - self._checked - 2 * _LONGEST_WAIT_S)
        self._checked = now
        for worker in self._workers:
            worker.deadline += stopped_s
        for worker in self._workers:
            if worker not in ready and worker.deadline <= time.monotonic():
                worker.overdue = worker.recordings[0]
                worker.process.kill()
                worker.deadline = math.inf

    def _assign(self) -> None:
        """Start workers if there is work for them, and send them queued recordings."""
        if not self._queue:
            return
        for worker in [w for w in self._workers if not w.recordings and not w.alive]:
            # It was killed while it was idle, so no recording is the cause.
            self._remove(worker)
        while len(self._workers) < min(self._count, self.pending):
            worker = Worker(self._cpu_s)
            self._workers.append(worker)
            self._selector.register(worker.pipe, selectors.EVENT_READ, worker)
        while self._queue:
            worker = min(self._workers, key=lambda worker: worker.ahead_bytes)
            if not worker.has_room_for(self._operation, self._queue[0]):
                return
            worker.send(self._operation, self._queue.popleft())

    def _outcome(self, worker: Worker, answer: bytes) -> tuple[int, Result | Rejected] | None:
        """The number and result of a recording, from an answer or the end of a worker.

        None if no recording is finished: the worker is ready, or has ended without a recording.
        """
        if not answer:
            return self._ended(worker)
        if not worker.ready:
            worker.ready = True
            worker.start_clock()
            return None
        if not worker.recordings:  # it answers without a job: somebody else controls it
            self._remove(worker)
            return None
        try:
            result = read_answer(answer)
        except Exhausted as limit:
            return self._blamed(worker, f"the decoder reached {limit}")
        except (ValueError, TypeError, KeyError):
            return self._blamed(worker, "the decoder process gave an answer without meaning")
        recording = worker.answered()
        if recording.has_changed():
            result = Rejected(Reason.CHANGED, "the file changed while it was decoded")
        if isinstance(result, Rejected):
            recording.close()
            return recording.number, result
        recording.close_encoded()
        return recording.number, self._operation.result(result, recording.out)

    def _ended(self, worker: Worker) -> tuple[int, Rejected] | None:
        """Handle a dead worker: reject the recording it was decoding, queue its others again."""
        first = next(iter(worker.recordings), None)
        if not worker.ready:  # it has decoded nothing, so no recording is the cause
            self._queue.extendleft(reversed(self._remove(worker)))
            raise NightscribeError(
                f"a decoder process ended with exit status {worker.exit_status} while it started; "
                "see its output on standard error"
            )
        worker.process.wait()
        killed = worker.process.returncode == -signal.SIGKILL
        if first is None or worker.overdue not in (None, first) or (killed and self._again(first)):
            self._queue.extendleft(reversed(self._remove(worker)))
            return None
        limit = ", at its time limit," if worker.overdue is first else ""
        return self._blamed(
            worker,
            f"the decoder process ended with exit status {worker.exit_status}{limit} while it "
            "decoded this file",
        )

    def _again(self, recording: Recording) -> bool:
        """Whether a recording gets a second worker after the first was killed.

        If memory is short, the kernel kills a process that may not be the cause, so once is no
        proof. A recording that reached its time limit was killed by this class and gets none.
        """
        if recording.killed or any(worker.overdue is recording for worker in self._workers):
            return False
        recording.killed = True
        recording.discard_output()
        return True

    def _blamed(self, worker: Worker, detail: str) -> tuple[int, Rejected]:
        """Reject a worker's first recording, remove the worker, queue its other recordings."""
        first, *others = self._remove(worker)
        self._queue.extendleft(reversed(others))
        first.close()
        return first.number, Crashed(detail)

    def _remove(self, worker: Worker) -> list[Recording]:
        """Kill a worker and return the recordings that it has not answered for."""
        self._workers.remove(worker)
        self._selector.unregister(worker.pipe)
        worker.end()
        return list(worker.recordings)


def run_one(operation: Operation[Result], encoded: BinaryIO | str) -> Result:
    """Run an operation on one recording in a worker of its own.

    Raises:
        Rejected: the recording cannot be used.
        OSError: it cannot be opened or read.
        NightscribeError: the worker does not start.
    """
    with Workers(1, operation) as workers:
        workers.submit(encoded)
        [(_, outcome)] = workers.finished(wait_for_one=True)
    if isinstance(outcome, Rejected):
        raise outcome
    return outcome
