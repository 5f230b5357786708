"""Worker processes that decode recordings: what crashes over a file costs that file alone.

FFmpeg opens files of strangers, and may crash over one, eat the memory or never come to an end. So
ingestion and transcription decode in processes of their own. One that dies takes down only the
recording that it had, and another takes its place.

A worker is given an open file where the recording lies on disk, also inside a zip or tar, and the
bytes where they are few. Samples come back in a file that has no name. So nothing is left behind,
whoever is killed.
"""

from __future__ import annotations

import selectors
from collections import deque
from collections.abc import Iterator
from types import TracebackType
from typing import BinaryIO, Generic, Self, TypeVar

from nightscribe.audio.contents import Recording
from nightscribe.audio.operations import Operation
from nightscribe.audio.worker_process import Worker
from nightscribe.audio.worker_program import read_answer
from nightscribe.errors import NightscribeError, Reason, Rejected

__all__ = ["Crashed", "Workers"]

_CPU_S = 3600  # of processor time for one recording; one of a day takes some minutes

Result = TypeVar("Result")


class Crashed(Rejected):
    """A recording over which a worker died: trying it again would most likely end the same way."""

    def __init__(self, exit_status: str) -> None:
        super().__init__(
            Reason.UNREADABLE,
            f"the process that decoded it ended with exit status {exit_status} "
            "in the middle of this file",
        )


class Workers(Generic[Result]):
    """At most `count` processes, started as there is work, that do one kind of job.

    `cpu_s` is the processor time, in seconds, that one recording may take.
    """

    def __init__(self, count: int, operation: Operation[Result], *, cpu_s: int = _CPU_S) -> None:
        self._count = count
        self._operation = operation
        self._cpu_s = cpu_s
        self._number = 0
        self._queue: deque[Recording] = deque()
        self._workers: list[Worker] = []
        self._selector = selectors.DefaultSelector()

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
        """Recordings handed in and not yet given back."""
        return len(self._queue) + sum(len(worker.recordings) for worker in self._workers)

    @property
    def waiting_bytes(self) -> int:
        """Encoded bytes in memory that no worker has yet been given."""
        return sum(recording.memory_bytes for recording in self._queue)

    def submit(self, encoded: BinaryIO | str) -> int:
        """Hand in a recording, as a file or the path of one; returns its number.

        The file may be closed afterwards. Raises `OSError` if it cannot be read.
        """
        self._number += 1
        self._queue.append(Recording.of(self._number, encoded))
        self._assign()
        return self._number

    def finished(self, *, wait_for_one: bool) -> Iterator[tuple[int, Result | Rejected]]:
        """Numbers and results of what is done; waits for one if none is and that is asked for.

        Raises `NightscribeError` where a person must help: a worker does not start, or the
        temporary folder is full.
        """
        self._assign()
        while self.pending:
            found = False
            for key, _ in self._selector.select(None if wait_for_one else 0):
                worker: Worker = key.data
                while worker in self._workers and (answer := worker.receive()) is not None:
                    outcome = self._outcome(worker, answer)
                    self._assign()
                    if outcome is not None:
                        found = True
                        yield outcome
            if found or not wait_for_one:
                return

    def close(self) -> None:
        """End the workers, whatever they do."""
        for worker in list(self._workers):
            for recording in self._dismiss(worker):
                recording.close()
        for recording in self._queue:
            recording.close()
        self._queue.clear()
        self._selector.close()

    def _assign(self) -> None:
        """Start workers as far as there is work for them, and give them what waits."""
        if not self._queue:
            return
        for worker in [w for w in self._workers if not w.recordings and not w.alive]:
            # The system took it while it had nothing to do: no recording is to blame.
            self._dismiss(worker)
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
        """What an answer, or the end of a worker, says about a recording; None if nothing."""
        if not answer:
            return self._ended(worker)
        if not worker.ready:
            worker.ready = True
            return None
        found = read_answer(answer)
        recording = worker.answered()
        if recording.has_changed():
            found = Rejected(Reason.CHANGED, "changed while it was decoded")
        if isinstance(found, Rejected):
            recording.close()
            return recording.number, found
        recording.close_encoded()
        return recording.number, self._operation.result(found, recording.out)

    def _ended(self, worker: Worker) -> tuple[int, Rejected] | None:
        """A worker has died: the recording that it had is rejected, the others wait again."""
        left = self._dismiss(worker)
        self._queue.extendleft(reversed(left))
        if not worker.ready:  # no recording's fault
            raise NightscribeError(
                f"a process that decodes audio ended with exit status {worker.exit_status} while "
                "it started; what it wrote to the standard error output may say why"
            )
        if not left:
            return None
        self._queue.popleft().close()
        return left[0].number, Crashed(worker.exit_status)

    def _dismiss(self, worker: Worker) -> list[Recording]:
        """End a worker; returns the recordings that it had."""
        self._workers.remove(worker)
        self._selector.unregister(worker.pipe)
        worker.end()
        return list(worker.recordings)
