"""The process that runs one engine: `python -m benchmarks.worker`, with its task on standard input.

It answers with lines of JSON on standard output: `ready` after loading and warming up, and `done`
with the texts. Output of libraries goes to standard error.
"""

from __future__ import annotations

import dataclasses
import json
import os
import sys
import time
from typing import Any


def main() -> None:
    """Load the engine, warm it up, and time it on the recordings."""
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    task = json.load(sys.stdin)

    def send(**answer: Any) -> None:
        print(json.dumps(answer), file=answers, flush=True)

    import torch

    from benchmarks.engines import Setup, load

    setup = Setup(**task["setup"])
    torch.set_num_threads(setup.threads)
    started = time.perf_counter()
    run = load(task["engine"], setup)
    list(run(task["warm_up"]))
    send(event="ready", loading_s=time.perf_counter() - started)
    started = time.perf_counter()
    texts = [dataclasses.asdict(text) for text in run(task["recordings"])]
    send(event="done", wall_s=time.perf_counter() - started, texts=texts)


if __name__ == "__main__":
    main()
