"""Run commands on a disk on which one call fails: see `faulty_calls.c`.

The program forks for each command: importing torch takes seconds. It reads lines of JSON, `{below,
number, more, arguments}`, and writes for each `{code, out, err, count, failed}`.
"""

from __future__ import annotations

import contextlib
import ctypes
import io
import json
import os
import subprocess
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class Ran:
    """What a command came to.

    Attributes:
        count: calls on files below the folder
        failed: the call that failed; "" if the command had fewer
    """

    code: int
    out: str
    err: str
    count: int
    failed: str


class FaultyCalls:
    """Commands in processes of their own, on a disk that fails; without the library, on any."""

    def __init__(self, library: Path | None, environment: dict[str, str]) -> None:
        preload = {"LD_PRELOAD": str(library)} if library else {}
        self._process = subprocess.Popen(
            [sys.executable, __file__],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env={**environment, **preload, "OMP_NUM_THREADS": "1"},
        )

    def run(
        self, arguments: Sequence[object], below: Path | str = "", number: int = 0, more: int = 0
    ) -> Ran:
        """Run a command while the call of that number fails, and the next ones; 0: none."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        order = [str(below), number, more, [str(argument) for argument in arguments]]
        self._process.stdin.write(json.dumps(order) + "\n")
        self._process.stdin.flush()
        return Ran(**json.loads(self._process.stdout.readline()))

    def close(self) -> None:
        """End the program."""
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.wait(60)


def made_up(requests: Any, model: Any, **_: Any) -> Iterator[Any]:
    """An engine without a network: every recording has one segment."""
    from nightscribe.whisper.contract import Transcript
    from tests.segments import made_up_segment

    for request in requests:
        request.audio.read()
        for job in request.jobs:
            segment = made_up_segment(" The doctor is looking.")
            yield Transcript(request.recording_id, job, "en", 0.9, segment["text"], [segment], 0.3)


class MadeUpModel:
    """A model for `made_up`."""

    def __init__(self, name: str) -> None:
        from nightscribe.whisper.checkpoints import model_id_of

        self.model_id = model_id_of(name, None)
        self.name, self.precision, self.device_name = name, "float32", "none"
        self.network = type("N", (), {"dims": type("D", (), {"n_vocab": 51_865})})

    def peak_memory_bytes(self) -> int:
        return 0


def _library() -> Any:
    library = ctypes.CDLL(None)
    library.fault_failed.restype = ctypes.c_char_p
    library.fault_count.restype = ctypes.c_long
    library.fault_arm.argtypes = [ctypes.c_char_p, ctypes.c_long, ctypes.c_long]
    return library


def _serve() -> None:
    # Everything that is slow to import, once for all commands.
    import duckdb  # noqa: F401
    import pandas  # noqa: F401
    import pyarrow.dataset
    import pyarrow.parquet  # noqa: F401
    import rich.table  # noqa: F401
    import whisper.normalizers  # noqa: F401

    import evaluation.gate.findings
    import evaluation.lake
    import evaluation.report.text  # noqa: F401
    import nightscribe.cli.run
    import nightscribe.search.building
    import nightscribe.stages.datasets
    import nightscribe.stages.forget
    import nightscribe.stages.maintain  # noqa: F401
    import tests.segments  # noqa: F401
    from nightscribe import cli
    from nightscribe.stages import night

    night.engine_named = lambda name, slots: made_up  # type: ignore[assignment]
    night.model_loader = lambda settings: MadeUpModel  # type: ignore[assignment, return-value]
    library = _library() if "LD_PRELOAD" in os.environ else None
    for line in sys.stdin:
        below, number, more, arguments = json.loads(line)
        reading, writing = os.pipe()
        if not (child := os.fork()):
            out, err = io.TextIOWrapper(io.BytesIO(), "utf-8", write_through=True), io.StringIO()
            with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
                if library:
                    library.fault_arm(below.encode(), number, more)
                try:
                    code = cli.main(arguments)
                except SystemExit as ended:
                    code = ended.code
                except BaseException as error:
                    code = -1
                    err.write(repr(error))
                count, failed = 0, ""
                if library:
                    count, failed = library.fault_count(), library.fault_failed().decode()
                    library.fault_arm(b"", 0, 0)
            found = Ran(code, out.buffer.getvalue().decode(), err.getvalue(), count, failed)
            with open(writing, "w") as pipe:
                pipe.write(json.dumps(vars(found)))
            os._exit(0)
        os.close(writing)
        with open(reading) as pipe:
            print(pipe.read(), flush=True)
        os.waitpid(child, 0)


if __name__ == "__main__":
    _serve()
