"""Audio decoding in processes of their own, ahead of the engine or in turns with it.

A worker decodes one recording at a time to 16-bit samples in a file of a temporary folder, from
where the engine reads what it needs: memory does not grow with a recording (the folder does, by
115 MB an hour of those that are being transcribed). A
worker that dies (a decoder's crash, the kernel's out-of-memory killer) takes down only the
recording that it had, and another takes its place.
"""

from __future__ import annotations

import contextlib
import io
import os
import pickle
import shutil
import subprocess
import sys
import tempfile
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from multiprocessing.connection import wait
from pathlib import Path
from typing import BinaryIO

import numpy as np
from numpy.typing import NDArray

from nightscribe.audio.decode import blocks
from nightscribe.audio.samples import FULL_SCALE
from nightscribe.errors import NightscribeError, Reason, Rejected, told_if_full

_SAMPLE_BYTES = 2
_HELD_BYTES = 64 * 1024**2  # an encoded recording up to this size waits in memory, else on disk
_COPIED_BYTES = 1024**2  # at a time
_STARTED = b"+"  # a worker's first word


class Stored:
    """16-bit samples in a file that has lost its name: it is gone when nobody reads it any more.

    Slices are read anew each time. A mapping would do without, but count as this process's
    memory, all of a long recording at once.
    """

    def __init__(self, path: Path) -> None:
        self._file = path.open("rb", buffering=0)
        self._count = os.fstat(self._file.fileno()).st_size // _SAMPLE_BYTES
        path.unlink()

    def __len__(self) -> int:
        return self._count

    def __getitem__(self, part: slice) -> NDArray[np.int16]:
        first, last, _ = part.indices(self._count)
        count = max(0, last - first) * _SAMPLE_BYTES
        return np.frombuffer(os.pread(self._file.fileno(), count, first * _SAMPLE_BYTES), np.int16)


@dataclass(frozen=True)
class Samples:
    """A decoded recording: 16-bit samples, 16 kHz mono."""

    samples: Stored
    warning: str | None


Outcome = Samples | Rejected


def decode_to(file: Path, encoded: BinaryIO | str) -> str | None:
    """Decode into a file of raw 16-bit samples; returns the warning, if there is one.

    Raises what `decode.blocks` raises, and `NightscribeError` where the folder is full.
    """
    with told_if_full(), file.open("wb") as out:
        decoded = blocks(encoded)
        while True:
            try:
                block = next(decoded)
            except StopIteration as end:
                warning: str | None = end.value
                return warning
            out.write((block * FULL_SCALE).astype(np.int16).tobytes())


class Decoders:
    """So many worker processes, started when there is more than one recording to decode."""

    def __init__(self, count: int) -> None:
        self._count = count
        self._folder = tempfile.TemporaryDirectory(prefix="nightscribe-audio-")
        self._queue: deque[tuple[int, BinaryIO | str]] = deque()
        self._workers: list[_Worker] = []
        self._number = 0

    @property
    def pending(self) -> int:
        """Recordings handed in and not yet given back."""
        return len(self._queue) + sum(worker.number is not None for worker in self._workers)

    @property
    def waiting_bytes(self) -> int:
        """Encoded bytes in memory that no worker has yet been given."""
        return sum(
            encoded.getbuffer().nbytes
            for _, encoded in self._queue
            if isinstance(encoded, io.BytesIO)
        )

    def submit(self, encoded: BinaryIO | str) -> int:
        """Hand in a recording's encoded bytes, or the path of its file; returns its number.

        The bytes are read here and now, since the file may be closed afterwards.
        """
        self._number += 1
        if not isinstance(encoded, str):
            encoded = self._kept(self._number, encoded)
        self._queue.append((self._number, encoded))
        self._assign()
        return self._number

    def finished(self, *, wait_for_one: bool) -> Iterator[tuple[int, Outcome]]:
        """Recordings that are decoded by now; waits for one if none is and that is asked for."""
        if not self._workers and self._queue and wait_for_one:
            # A single recording is done before a process would have started.
            number, encoded = self._queue.popleft()
            yield number, self._decode_here(number, encoded)
            return
        busy = {w.answers.fileno(): w for w in self._workers if w.number is not None}
        patient = wait_for_one
        while busy:
            for ready in wait(list(busy), None if patient else 0):
                assert isinstance(ready, int)
                worker = busy[ready]
                if worker.started:
                    del busy[ready]
                    patient = False
                    yield self._outcome(worker)
                else:
                    worker.greet()
            if not patient:
                break
        self._assign()

    def close(self) -> None:
        """End the workers and remove what they wrote."""
        for worker in self._workers:
            worker.end()
        self._workers.clear()
        self._folder.cleanup()

    def _path(self, number: int) -> Path:
        return Path(self._folder.name) / f"{number}.pcm"

    def _encoded_path(self, number: int) -> Path:
        return Path(self._folder.name) / f"{number}.encoded"

    def _kept(self, number: int, encoded: BinaryIO) -> BinaryIO | str:
        """A recording's bytes in memory, or the path of a copy where they are many."""
        first = encoded.read(_HELD_BYTES)
        if len(first) < _HELD_BYTES:
            return io.BytesIO(first)
        path = self._encoded_path(number)
        with told_if_full(), path.open("wb") as copy:
            copy.write(first)
            shutil.copyfileobj(encoded, copy, _COPIED_BYTES)
        return str(path)

    def _assign(self) -> None:
        if not self._workers and len(self._queue) < 2:
            return
        self._staff()
        while self._queue:
            worker = next((worker for worker in self._workers if worker.number is None), None)
            if worker is None:
                return
            number, encoded = self._queue.popleft()
            content = encoded if isinstance(encoded, str) else encoded.read()
            worker.give(number, self._path(number), content)

    def _staff(self) -> None:
        """A worker for each recording, as far as there may be so many; they start side by side."""
        for worker in [w for w in self._workers if w.number is None and not w.alive]:
            # The system took it while it had nothing to do: no recording is to blame.
            self._workers.remove(worker)
            worker.end()
        while len(self._workers) < min(self._count, self.pending):
            try:
                self._workers.append(_Worker())
            except OSError as error:
                raise NightscribeError(
                    f"no process could be started to decode audio: {error.strerror}"
                ) from error

    def _outcome(self, worker: _Worker) -> tuple[int, Outcome]:
        """What a worker has to say of its recording."""
        number = worker.number
        assert number is not None
        try:
            answer = pickle.load(worker.answers)
            self._encoded_path(number).unlink(missing_ok=True)
        except (EOFError, pickle.UnpicklingError):
            self._workers.remove(worker)
            status = worker.fallen_silent()
            for path in (self._path(number), self._encoded_path(number)):
                path.unlink(missing_ok=True)
            detail = f"the decoder ended with exit status {status} in the middle of this file"
            return number, Rejected(Reason.UNREADABLE, detail)
        worker.number = None
        if isinstance(answer, NightscribeError):
            raise answer
        if isinstance(answer, Rejected):
            self._path(number).unlink(missing_ok=True)
            return number, answer
        return number, self._stored(number, answer)

    def _decode_here(self, number: int, encoded: BinaryIO | str) -> Outcome:
        try:
            return self._stored(number, decode_to(self._path(number), encoded))
        except NightscribeError:
            raise
        except Exception as error:
            # As in a worker, where it would end the process: it costs this recording alone.
            self._path(number).unlink(missing_ok=True)
            return error if isinstance(error, Rejected) else _unreadable(error)
        finally:
            self._encoded_path(number).unlink(missing_ok=True)

    def _stored(self, number: int, warning: str | None) -> Samples:
        return Samples(Stored(self._path(number)), warning)


class _Worker:
    """A process that decodes what comes through a pipe.

    A fresh interpreter, not a fork of this one, whose threads and device would not survive that;
    and not one of multiprocessing's, which would run the main program's file again.
    """

    def __init__(self) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-m", "nightscribe.audio.workers"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env={**os.environ, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)},
        )
        assert self.process.stdin
        assert self.process.stdout
        self._to, self.answers = self.process.stdin, self.process.stdout
        self.number: int | None = None
        self.started = False

    @property
    def alive(self) -> bool:
        return self.process.poll() is None

    def greet(self) -> None:
        """Read the worker's first byte; raises `NightscribeError` if it ended without one.

        That is no recording's fault, so none is rejected for it.
        """
        # Past the buffer, which might swallow the first answer, too: none would be waited for then.
        word = os.read(self.answers.fileno(), 1)
        if not word:
            raise NightscribeError(
                f"a process that decodes audio ended with exit status {self.fallen_silent()} "
                "while it started; what it wrote to the standard error output may tell why"
            )
        if word != _STARTED:
            self.end()
            raise NightscribeError(
                "something wrote to the standard output of a process that decodes audio before it "
                "began: look for a sitecustomize.py or a .pth file that prints"
            )
        self.started = True

    def give(self, number: int, path: Path, content: bytes | str) -> None:
        self.number = number
        with contextlib.suppress(BrokenPipeError):  # seen when the answer is read
            pickle.dump((path, content), self._to)
            self._to.flush()

    def fallen_silent(self) -> int:
        """The exit status of a worker that makes no sense, or none any more."""
        with contextlib.suppress(subprocess.TimeoutExpired):  # alive
            self.process.wait(timeout=10)
        return self.end()

    def end(self) -> int:
        self.process.kill()
        with contextlib.suppress(BrokenPipeError):
            self._to.close()
        self.answers.close()
        return self.process.wait()


def _work() -> None:
    """Decode what comes on standard input; answers go to standard output, and nothing else."""
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    answers.write(_STARTED)
    answers.flush()
    while True:
        try:
            path, content = pickle.load(sys.stdin.buffer)
        except (EOFError, KeyboardInterrupt):
            return
        answer: str | Rejected | NightscribeError | None
        try:
            answer = decode_to(path, content if isinstance(content, str) else io.BytesIO(content))
        except (Rejected, NightscribeError) as error:
            answer = error
        except OSError as error:
            answer = _unreadable(error)
        pickle.dump(answer, answers)
        answers.flush()


def _unreadable(error: Exception) -> Rejected:
    return Rejected(Reason.UNREADABLE, str(error) or type(error).__name__)


if __name__ == "__main__":
    _work()
